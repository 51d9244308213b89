"""The operator's side: command line, endpoint life cycle, manifest, and the local stack."""
