"""The SageMaker endpoint as a file says it should be: planned, applied, tested, updated, deleted."""
