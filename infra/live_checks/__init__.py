"""What nobody could verify without an account, as checks that run against the real thing and clean up."""
