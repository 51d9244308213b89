"""The inference image: one HTTP server (`container.serving`) in front of interchangeable engines."""
