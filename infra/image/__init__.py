"""Container images: built here or in the account, tried, and kept in ECR by digest."""
