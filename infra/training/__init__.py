"""Teaching a LoRA on SageMaker Training, from a folder of pictures to a new release in the catalogue."""
