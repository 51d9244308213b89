"""Running a deployed stage: its secrets, logs, jobs and dead letters, and taking it away."""
