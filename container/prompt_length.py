"""How much of a prompt CLIP reads at once, and what is told of one that is longer."""

CHUNK = 75
"""Tokens: 77 less the marks of start and end."""

MAX_CHUNKS = 8
"""600 tokens; what follows is left out."""


def length_notes(name: str, *, tokens: int, chunks: int) -> tuple[str, ...]:
    """A plain sentence about a prompt that fills more than one chunk; `name` says which prompt it is."""
    if chunks > MAX_CHUNKS:
        return (f"only the first {MAX_CHUNKS * CHUNK} tokens of the {name} had an effect",)
    if tokens > CHUNK:
        what = f"the {name} has {tokens} tokens (words and parts of words)"
        return (f"{what}: it was read in {chunks} parts of up to {CHUNK}",)
    return ()
