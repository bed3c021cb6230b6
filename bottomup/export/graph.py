"""Normalisation, network and the parallel part of the decoder as one graph, and its sizes, as far as they stay open."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bottomup.contracts import Decoder
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.model import PoseModel
from bottomup.types import Frame

INPUTS = ("images", "content")

_LARGEST = 8192  # px of an input's side
_MOST = 1024  # images of a batch
_TRACED = (
    2,
    2,
    3,
)  # images, and periods of the sides, of the batch with which a graph is traced: all differ from 1, which would stay


class DecodedGraph(nn.Module):
    """Images (B, 3, H, W) uint8 RGB and their content (B, 4) xyxy input px to what ``Decoder.tensors`` gives."""

    def __init__(self, model: PoseModel, decoder: Decoder) -> None:
        super().__init__()
        self.model, self.decoder = model, decoder

    def forward(self, images: Tensor, content: Tensor) -> dict[str, Tensor]:
        """The decoder's tensors, by name."""
        outputs = self.model(images)[0]
        return self.decoder.tensors(outputs, Frame(self.model.grids, (images.shape[2], images.shape[3]), content))


def program_of(model: PoseModel, decoder: Decoder, sides: tuple[int, int] | None = None) -> ExportedProgram:
    """The graph of a model and its decoder on the CPU, for any batch, and any input that the grids fit, or of ``sides`` (H, W).

    ConfigError where a model has no backbone, ``sides`` do not fit its grids, or its sides cannot stay open.
    """
    if model.backbone is None or not model.reads_images(model.decoded):
        raise ConfigError("export: this model sees no images, its heads work on what is given; there is no graph of it")
    if sides is not None and (fitting := (model.side(sides[0]), model.side(sides[1]))) != tuple(sides):
        raise ConfigError(f"sides should fit the model's grids, got {list(sides)}; the next that do are {list(fitting)}")
    images, content = example(model, sides)
    graph = DecodedGraph(model.cpu().eval(), decoder)
    axes = {0: Dim("batch", min=1, max=_MOST)}
    open_sides = {} if sides is not None else dict(zip((2, 3), _open_sides(model), strict=True))
    try:
        with torch.no_grad():
            return torch.export.export(
                graph, (images, content), dynamic_shapes={"images": axes | open_sides, "content": axes}, strict=False
            )
    except Exception as error:  # a dozen types of torch's
        if sides is not None:
            raise ConfigError(f"export: PyTorch makes no graph of this model ({_said(error)})") from error
        raise ConfigError(
            f"export: height and width of this model's input cannot stay open ({_said(error)}); fix them: "
            f"sides=[{model.side(512)},{model.side(512)}]"
        ) from error


def example(model: PoseModel, sides: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """A batch of noise with which a graph is traced, and its content."""
    count, *wanted = _TRACED
    h, w = sides or (least_side(model, wanted[0]), least_side(model, wanted[1]))
    images = torch.randint(0, 256, (count, 3, h, w), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return images, torch.tensor([[0.0, 0.0, w, h]] * count)


def fitting_grids(model: PoseModel) -> tuple[Grid, ...]:
    """Few grids that say which input sides fit all that the model uses."""
    period, first = _period(model)
    return (Grid.cornered(period) if first == 1 else Grid.centred(period),)


def least_side(model: PoseModel, periods: int = 2) -> int:
    """The smallest input side of so many periods of the grids; a map of one cell would be a graph of its own."""
    period, first = _period(model)
    return period * periods + first


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
    periods = [Dim(name, min=2, max=_LARGEST // period) for name in ("rows", "columns")]
    return [period * each + first if first else period * each for each in periods]


def _said(error: Exception) -> str:
    """The first line of an error that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
