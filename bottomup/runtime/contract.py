"""What an exported file says of itself: all that the numbers which it gives need to become people in px of an image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Self

from bottomup.errors import CheckpointError, ConfigError, DataError
from bottomup.framing import Side
from bottomup.grid import Grid, smallest_side
from bottomup.grouping.found import Grouping
from bottomup.grouping.kinds import grouping_of, plain_options
from bottomup.options import Count, Interval, check_value, resolved
from bottomup.skeletons import Skeleton
from bottomup.thresholds import Thresholds
from bottomup.version import __version__

KEY = "bottomup"  # of the metadata
MAP = "maps."  # before the name of a map among the outputs
_FORMAT = "bottomup graph 1"
_Side = Annotated[int, Interval(1, 1 << 15), "px"]  # of what any memory holds
_Byte = Annotated[int, Interval(0, 255)]
_LIMITS: dict[str, Any] = {
    "input_size": _Side,
    "least": _Side,
    "sides": tuple[_Side, _Side] | None,
    "fill": tuple[_Byte, _Byte, _Byte],
}
_PLAIN = ("categories", "decoder", "outputs", "maps", "input_size", "side", "least", "sides", "fill", "version")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What is found and how: skeleton, grids, the sequential part with its options, how images enter, and what is worth showing."""

    skeleton: Skeleton | None  # None: no keypoints are found
    categories: tuple[str, ...]
    decoder: str
    grouping: Grouping
    grids: Mapping[str, Grid]  # of the maps
    outputs: tuple[str, ...]  # in the order in which the file gives them
    input_size: int  # px, to which the side of an image is resized
    side: Side
    fits: tuple[Grid, ...]  # which input sides fit
    least: int  # px, the smallest side that it takes
    sides: tuple[int, int] | None  # (H, W), the only size that the file takes; None: all that fit
    fill: tuple[int, int, int]  # the colour of padding
    mean: tuple[float, float, float]  # by which the graph itself normalises: (image / 255 - mean) / std
    std: tuple[float, float, float]
    thresholds: Thresholds
    maps: Mapping[str, str] = field(
        default_factory=dict
    )  # which of the network's, with their axes, the file gives as ``maps.NAME``
    version: str = __version__

    def accept(self, side: int) -> int:
        """The smallest input side of at least ``side`` px that fits."""
        return smallest_side(max(side, self.least), self.fits)

    def check(self, size: tuple[int, int]) -> None:
        """Raise DataError where the file does not take an input of ``size`` (H, W)."""
        if self.sides is not None and size != self.sides:
            raise DataError(f"this file takes inputs of {_px(self.sides)} alone, got {_px(size)}; export one with sides=null")
        if (fitting := (self.accept(size[0]), self.accept(size[1]))) != size:
            raise DataError(f"an input of {_px(size)} does not fit the grids of this file; the next that does is {_px(fitting)}")

    def to_json(self) -> str:
        """As text, from which ``of_json`` makes it again."""
        own = {name: getattr(self, name) for name in _PLAIN}
        fields = {name: entry._asdict() for name, entry in type(self.grouping).fields.items() if name in self.outputs}
        data = own | {
            "format": _FORMAT,
            "skeleton": None if self.skeleton is None else self.skeleton.to_dict(),
            "grouping": {"kind": type(self.grouping).__name__, "options": plain_options(self.grouping)},
            "grids": {key: asdict(grid) for key, grid in self.grids.items()},
            "fits": [asdict(grid) for grid in self.fits],
            "normalisation": {"mean": self.mean, "std": self.std},
            "thresholds": asdict(self.thresholds),
            "fields": fields,
        }
        return json.dumps(data)

    @classmethod
    def of_json(cls, text: str, file: str) -> Self:
        """What a ``file``'s metadata say; CheckpointError where they are of a later version, or broken."""
        try:
            data: dict[str, Any] = json.loads(text)
            if data["format"] != _FORMAT:
                raise CheckpointError(f"{file}: a {data['format']} of bottomup {data['version']}; this one reads {_FORMAT!r}")
            skeleton = None if data["skeleton"] is None else Skeleton.from_dict(data["skeleton"])
            made = cls(
                skeleton=skeleton,
                grouping=grouping_of(data["grouping"]["kind"], data["grouping"]["options"], skeleton),
                grids={key: Grid(**grid) for key, grid in data["grids"].items()},
                fits=tuple(Grid(**grid) for grid in data["fits"]),
                thresholds=Thresholds(**data["thresholds"]),
                categories=tuple(data["categories"]),
                outputs=tuple(data["outputs"]),
                maps=data.get("maps", {}),  # files of before there were any
                sides=None if data["sides"] is None else (data["sides"][0], data["sides"][1]),
                fill=tuple(data["fill"]),
                mean=tuple(data["normalisation"]["mean"]),
                std=tuple(data["normalisation"]["std"]),
                **{name: data[name] for name in ("decoder", "input_size", "side", "least", "version")},
            )
            made._check()
        except CheckpointError:
            raise
        except (KeyError, TypeError, IndexError, AttributeError, RecursionError, ValueError) as error:
            said = str(error) if isinstance(error, ConfigError) else repr(error)
            raise CheckpointError(f"{file}: its metadata are broken ({said}); export it again") from error
        return made

    def _check(self) -> None:
        """Raise ConfigError for a field of another kind than it should be, or that does not go with the others."""
        known = resolved(type(self))
        for name in _PLAIN:
            check_value(name, getattr(self, name), _LIMITS.get(name, known[name]))
        for name in ("mean", "std"):
            check_value(name, getattr(self, name), known[name])
        for where, grid in [*self.grids.items(), *(("fits", grid) for grid in self.fits)]:
            check_value(f"{where}.stride", grid.stride, Count)
            check_value(f"{where}.origin", grid.origin, float)
        smallest_side(self.least, self.fits)
        if self.skeleton is None and "skeleton" in resolved(type(self.grouping)):
            raise ConfigError(f"{type(self.grouping).__name__} needs a skeleton, got null")


def _px(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"
