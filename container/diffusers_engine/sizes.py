"""At which size a model draws what somebody wants at another."""

from __future__ import annotations

Size = tuple[int, int]
"""Width and height in pixels, multiples of 8."""

_TINY = 128
_MOST_STRETCHED = 11 / 6
"""The longest proportions the embedded model was trained on."""


def drawn_size(size: Size, *, native_side: int) -> Size:
    """The size asked for; of a tiny model as many pixels as it was trained on, in those proportions."""
    if native_side > _TINY:
        return size
    aspect = min(max(size[0] / size[1], 1 / _MOST_STRETCHED), _MOST_STRETCHED)
    side = native_side / 8
    return round(side * aspect**0.5) * 8, round(side / aspect**0.5) * 8


def second_size(first: Size, wanted: Size, final: Size) -> Size:
    """What hires fix draws at: `first` enlarged as much as the size `wanted` is to become the `final` one."""
    width, height = (
        max(8, round(drawn * end / begin / 8) * 8)
        for drawn, begin, end in zip(first, wanted, final, strict=True)
    )
    return width, height


def latent_size(size: Size) -> Size:
    return size[0] // 8, size[1] // 8
