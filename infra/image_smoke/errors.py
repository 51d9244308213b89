class SmokeError(Exception):
    """What stopped the smoke test: a sentence with the fix, or what an image did not do."""
