"""The errors and warnings that a user can cause, each a sentence that names what was given, what was expected and the remedy."""

from __future__ import annotations

import difflib
import errno
import sys
import warnings
from collections.abc import Iterable

_REMEDIES = (  # what the system refuses for -> what to do
    ({errno.ENOSPC, errno.EDQUOT}, "; make room, or give another folder"),
    ({errno.EFBIG}, ", which has a limit here (ulimit -f); raise it"),
    ({errno.EACCES, errno.EPERM}, "; give a file or folder that this user may use"),
    ({errno.EROFS}, "; give another folder"),
    ({errno.ENAMETOOLONG}, "; give a shorter one"),
    ({errno.EMFILE, errno.ENFILE}, " (ulimit -n); raise the limit, or give workers=0"),
)
_MOST_LISTED = 40  # names in an error; of more, only the nearest
_NEAR = 0.7  # difflib's likeness of two names; at its own 0.6 'split' is near 'limit', with three letters of five alike


class BottomupError(Exception):
    """A fault in what the user gave; the command line prints its message without a traceback."""


class ConfigError(BottomupError, ValueError):
    """A configuration that does not fit together."""


class DataError(BottomupError, ValueError):
    """An image or annotation file that cannot be read as what it claims to be."""


class CheckpointError(BottomupError, ValueError):
    """A checkpoint that is broken, foreign or of another model."""


class TrainingError(BottomupError, RuntimeError):
    """A training run that cannot go on."""


class InterruptedRunError(BottomupError):
    """A run that somebody ended, and that resume=true goes on with; no fault, so no TrainingError."""


class OutputError(BottomupError, OSError):
    """A file that cannot be written: a full disk, a limit, a folder that is not ours; what was there stays as it was."""


class WorkerError(BottomupError, RuntimeError):
    """A process that reads images and was ended from outside, as where memory runs out."""


class RankError(BottomupError, RuntimeError):
    """One of several processes that work together, left alone by another, which says why it ended."""


class BottomupWarning(UserWarning):
    """What works in another way than the user may have meant; the command line prints its message in one line."""


def of_system(error: OSError) -> str:
    """Why the system refused something, in its words, and what can be done about it; without the file's name."""
    if isinstance(error, BottomupError):
        return str(error)
    remedy = next((remedy for numbers, remedy in _REMEDIES if error.errno in numbers), "")
    return f"{(error.strerror or str(error)).lower()}{remedy}"


def printable(text: str) -> str:
    """Text that any terminal and file takes: halves of characters, as names have that are no text, are written as escapes."""
    return text.encode(errors="backslashreplace").decode()


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number with its noun: "1 image", "2 images", "2 people" of "person" and "people"."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that somebody may have meant who typed ``name``, likest first; none where none is near."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=_NEAR)


def unknown(kind: str, name: str, known: list[str], meant: str | None = None) -> str:
    """Say that no ``kind`` is called ``name``, and what was probably ``meant``: where that is not given, the nearest name."""
    near = nearest(name, known, most=5)
    meant = meant or next(iter(near), None)
    guess = f"; did you mean {meant!r}?" if meant else ""
    listed = known if len(known) <= _MOST_LISTED else [*near, f"{len(known)} in all"]
    return f"no {kind} named {name!r}{guess} (known: {', '.join(listed)})"


def warn(message: str) -> None:
    """Warn of ``message`` where the user's own code called this package, however deep in it that is noticed."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __name__.partition(".")[0]:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, BottomupWarning, stacklevel=level)
