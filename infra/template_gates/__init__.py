"""Gates that serverless.yml passes before it is deployed: offline, and each says what is wrong where."""
