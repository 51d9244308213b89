"""What the model learns to draw."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

STYLES = ("noto", "flat", "3d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One named thing: its names (the first is the main one) and an RGBA picture per art style."""

    name: str
    aliases: tuple[str, ...]
    pictures: dict[str, Image.Image]
