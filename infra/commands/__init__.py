"""One module per command: `register(commands)` adds its parser, `run` does the work."""
