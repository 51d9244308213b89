"""Model files: know what they are, trust or refuse them, pack and move them."""
