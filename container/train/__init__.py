"""The LoRA training job of SageMaker Training: `python -m container train`."""
