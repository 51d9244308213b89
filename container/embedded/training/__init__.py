"""Builds the embedded model's weights. Needs torch and diffusers; nothing here is used at run time."""
