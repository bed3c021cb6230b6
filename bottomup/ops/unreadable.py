"""Files that PyTorch does not read, in words of ours: its own advise people to let a file run what it likes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECT = re.compile(r"GLOBAL (\S+)")  # what PyTorch calls an object that it does not make
_ADVICE = re.compile(r"weights[_ ]only", re.IGNORECASE)


def unreadable(error: Exception) -> str:
    """Why ``torch.load(…, weights_only=True)`` refused a file, in one sentence without an end."""
    text = str(error)
    if found := _OBJECT.search(text):
        return f"it holds an object of {found.group(1)}, which is not made, as that could run code"
    if _ADVICE.search(text):
        return "it holds more than tensors and plain data"
    return next(iter(text.splitlines()), "").partition(". ")[0] or type(error).__name__


@contextmanager
def reading() -> Iterator[None]:
    """Keep quiet what PyTorch warns of while it reads a file, which its user can do nothing about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
