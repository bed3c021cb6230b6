"""How many people of an image can be found and count, and the images that have more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bottomup.contracts import Decoder
from bottomup.dataset import Dataset
from bottomup.errors import warn
from bottomup.model import PoseModel


def limits_of(model: PoseModel, decoder: Decoder, oracle: Sequence[str] = ()) -> dict[str, int]:
    """The options that bound how many people of an image are found, with their values; heads of ``oracle`` bound nothing."""
    running = model.running(model.decoded, model.keys_of(oracle))
    heads = {f"heads.{name}.{option}": most for name in running for option, most in model.stack(name).last.limits.items()}
    return heads | {f"decoder.{option}": most for option, most in decoder.limits.items()}


def warn_of_limits(dataset: Dataset, limits: Mapping[str, int], what: str) -> None:
    """Say how many images have more people than one of the options ``limits`` lets be found, trained on or counted (``what``).

    Data sets that cannot tell without reading or drawing their images say nothing.
    """
    counts = [dataset.number_of_people(index) or 0 for index in range(len(dataset))]
    most = max(counts, default=0)
    short = {option: limit for option, limit in limits.items() if limit < most}
    if short:
        images = sum(count > min(short.values()) for count in counts)
        stated = ", ".join(f"{option}={limit}" for option, limit in short.items())
        raised = " ".join(f"{option}={most}" for option in short)
        warn(f"{images} of {len(counts)} images have more people, up to {most}, than {what} by {stated}; give {raised}")
