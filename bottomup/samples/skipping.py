"""One image that cannot be read, among many that can: an error, or left out, counted and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeVar

from bottomup.errors import DataError, counted, warn

OnError = Literal["raise", "skip"]

T = TypeVar("T")


class Unread(NamedTuple):
    """What stands in the place of an image that cannot be read."""

    reason: str


def attempted(read: Callable[[], T], on_error: OnError) -> T | Unread:
    """What ``read`` gives; where it cannot and images are skipped, why."""
    if on_error == "raise":
        return read()
    try:
        return read()
    except DataError as error:
        return Unread(str(error))


class Readable:
    """The samples that were read, by index, of all that come; ``unread`` says why of each of the others."""

    def __init__(self) -> None:
        self.unread: dict[int, str] = {}

    def of(self, samples: Iterable[tuple[int, T | Unread]]) -> Iterator[tuple[int, T]]:
        """Let what was read through, and keep what was not."""
        for index, sample in samples:
            if isinstance(sample, Unread):
                self.unread[index] = sample.reason
            else:
                yield index, sample

    def join(self, others: Iterable[Readable]) -> None:
        """Keep what others did not read, too."""
        for other in others:
            self.unread |= other.unread

    def tell(self, what: str) -> None:
        """Warn of how many were left out, and of the first; ``what`` says what became of them."""
        if self.unread:
            first = self.unread[min(self.unread)]
            warn(f"{counted(len(self.unread), 'image')} could not be read, {what}; first {first}")
