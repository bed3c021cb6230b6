"""Normalisation, network and the parallel part of the decoder as one graph, and its sizes, as far as they stay open."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bottomup.contracts import Decoder, probability
from bottomup.errors import ConfigError, unknown
from bottomup.geometry import Grid
from bottomup.model import PoseModel
from bottomup.runtime.contract import MAP
from bottomup.types import Frame

INPUTS = ("images", "content")

_LARGEST = 8192  # px of an input's side
_MOST = 1024  # images of a batch
# Of a trace and of a trial: images, and periods of the grids above the least.
_TRACED, _TRIED = (2, 1, 3), (1, 2, 0)
_LEAST = (2, 4)  # periods of the grids, and cells of every map that a decoder reads: what is 1 at any place would be fixed as that


class DecodedGraph(nn.Module):
    """Images (B, 3, H, W) uint8 RGB and their content (B, 4) xyxy input px to what ``Decoder.tensors`` gives, and to ``maps``.

    Maps are outputs of heads that the decoder reads, by the names of ``maps_of``; those that may be logits are probabilities.
    """

    def __init__(self, model: PoseModel, decoder: Decoder, maps: Sequence[str] = ()) -> None:
        super().__init__()
        self.model, self.decoder, self.maps = model, decoder, tuple(maps)

    def forward(self, images: Tensor, content: Tensor) -> dict[str, Tensor]:
        """The decoder's tensors, by name, and each of the maps as ``maps.NAME``."""
        outputs = self.model(images)[0]
        found = self.decoder.tensors(outputs, Frame(self.model.grids, (images.shape[2], images.shape[3]), content))
        return found | {f"{MAP}{name}": probability(outputs, name).float() for name in self.maps}


def maps_of(model: PoseModel) -> dict[str, str]:
    """The maps (B, …, h, w) that a graph of a model can give beside the decoder's tensors, with their axes, by name.

    They are those of the heads that run for the decoder; one that is given as logits goes by its name without that.
    """
    heads = [model.stack(name).last for name in model.running(model.decoded)]
    axes = {key.removesuffix("_logits"): own for head in heads for key, own in head.provides.items()}
    return {name: own for name, own in axes.items() if own.endswith("h w")}


def program_of(
    model: PoseModel, decoder: Decoder, sides: tuple[int, int] | None = None, maps: Sequence[str] = ()
) -> ExportedProgram:
    """The graph of a model and its decoder on the CPU, for any batch, and any input that the grids fit, or of ``sides`` (H, W).

    ``maps`` are given beside what the decoder gives. ConfigError where a model has no backbone or none of such maps, ``sides`` do
    not fit its grids, or its sides cannot stay open.
    """
    for name in maps:
        if name not in (known := maps_of(model)):
            raise ConfigError("export: " + unknown("map of this model", name, list(known)))
    if model.backbone is None or not model.reads_images(model.decoded):
        raise ConfigError("export: this model sees no images, its heads work on what is given; there is no graph of it")
    if sides is not None and (fitting := (model.side(sides[0]), model.side(sides[1]))) != tuple(sides):
        raise ConfigError(f"sides should fit the model's grids, got {list(sides)}; the next that do are {list(fitting)}")
    graph = DecodedGraph(model.cpu().eval(), decoder, maps)
    try:
        with torch.no_grad():
            return _traced(graph, model, sides)
    except Exception as error:  # a dozen types of torch's
        if sides is not None:
            raise ConfigError(f"export: PyTorch makes no graph of this model ({_said(error)})") from error
        raise ConfigError(
            f"export: height and width of this model's input cannot stay open ({_said(error)}); fix them: "
            f"sides=[{model.side(512)},{model.side(512)}]"
        ) from error


def _traced(graph: DecodedGraph, model: PoseModel, sides: tuple[int, int] | None) -> ExportedProgram:
    """The graph of a trace that ran on a batch of another size, too: PyTorch fixes without a word what it cannot keep open."""
    axes = {0: Dim("batch", min=1, max=_MOST)}
    open_sides = {} if sides is not None else dict(zip((2, 3), _open_sides(model), strict=True))
    open_axes = {"images": axes | open_sides, "content": axes}
    program = torch.export.export(graph, _noise(model, sides, *_TRACED), dynamic_shapes=open_axes, strict=False)
    program.module()(*_noise(model, sides, *_TRIED))
    return program


def _noise(model: PoseModel, sides: tuple[int, int] | None, count: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """A batch of noise and its content, of ``sides`` or so many periods larger than it must be."""
    period, least = _period(model)[0], least_side(model)
    h, w = sides or (least + period * rows, least + period * columns)
    images = torch.randint(0, 256, (count, 3, h, w), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return images, torch.tensor([[0.0, 0.0, w, h]] * count)


def fitting_grids(model: PoseModel) -> tuple[Grid, ...]:
    """Few grids that say which input sides fit all that the model uses."""
    period, first = _period(model)
    return (Grid.cornered(period) if first == 1 else Grid.centred(period),)


def least_side(model: PoseModel) -> int:
    """The smallest input side of a graph whose sides stay open; a map of a single cell would be a graph of its own."""
    (period, first), (periods, cells) = _period(model), _LEAST
    return model.side(max(period * periods + first, *(grid.side(cells) for grid in model.grids.values())))


def _period(model: PoseModel) -> tuple[int, int]:
    """By how much the sides that fit differ, and the smallest, less than that: 1, or 0."""
    sides = [model.side(1)]
    while len(sides) < 3:
        sides.append(model.side(sides[-1] + 1))
    period = sides[2] - sides[1]
    return period, sides[2] % period


def _open_sides(model: PoseModel) -> Sequence[Dim]:
    """Height and width as so many periods of the grids."""
    period, first = _period(model)
    periods = [Dim(name, min=least_side(model) // period, max=_LARGEST // period) for name in ("rows", "columns")]
    return [period * each + first if first else period * each for each in periods]


def _said(error: Exception) -> str:
    """The first line of an error that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
