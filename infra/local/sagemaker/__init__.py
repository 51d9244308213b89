"""A stand-in for a SageMaker asynchronous endpoint on this machine: `python -m infra.local.sagemaker --help`.

Unmodified boto3 or botocore reaches it through `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME`. It is not SageMaker:
signatures are not checked, and what AWS does not document (failure object names, notices of expiry) is a
switch in `faults`, so that a client can be shown to depend on none of it.
"""
