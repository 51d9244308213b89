"""What stands in for Slack and AWS on one machine."""
