"""Service quotas that endpoints and trainings need, by their exact names."""
