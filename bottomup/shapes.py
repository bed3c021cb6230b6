"""One readable error for every shape fault."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def check_shape(name: str, tensor: Tensor, axes: str, sizes: Mapping[str, int] | None = None) -> None:
    """Raise ValueError unless ``tensor`` has the axes written in ``axes``.

    ``axes`` is a string such as ``"B K 2 h w"``: numbers are fixed sizes, letters are free unless ``sizes`` gives them,
    and a letter that stands twice must have one size.
    """
    letters = axes.split()
    seen = dict(sizes or {})
    fits = tensor.dim() == len(letters)
    for letter, size in zip(letters, tensor.shape, strict=False):
        expected = int(letter) if letter.isdigit() else seen.setdefault(letter, size)
        fits = fits and size == expected
    if not fits:
        known = [f"{letter}={size}" for letter, size in (sizes or {}).items() if letter in letters]
        given = f" with {', '.join(known)}" if known else ""
        raise ValueError(f"{name} should have axes ({axes}){given}, got {tuple(tensor.shape)}")
