"""The stacked hourglass: its published size, its feedback, and that it learns from scratch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bottomup.backbones.hourglass import BatchNorm, Hourglass
from bottomup.types import Features


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_published_size() -> None:
    """Four stacks with 34 outputs each, counted from pose-ae-train's layers."""
    with torch.device("meta"):
        backbone = Hourglass()
        backbone.connect(34)
        outputs = nn.ModuleList(nn.Conv2d(level.channels, 34, 1) for stage in backbone.stages for level in stage.values())
    assert count(backbone) + count(outputs) == 138_832_776


def test_every_stack_but_the_last_is_asked_for_its_predictions_once() -> None:
    backbone = Hourglass(stacks=3, levels=1, channels=8, growth=4)
    backbone.connect(2)
    asked = []

    def feed_back(features: Features, stage: int) -> Tensor:
        asked.append(stage)
        return features["stack"][:, :2]

    backbone(torch.zeros(1, 3, 16, 16), feed_back)
    assert asked == [0, 1]


def test_predictions_reach_the_next_stack_and_no_earlier_one() -> None:
    backbone = Hourglass(stacks=3, levels=1, channels=8, growth=4).eval()
    backbone.connect(2)
    images = torch.randn(1, 3, 16, 16)

    def features(fed: float) -> list[Tensor]:
        stages = backbone(images, lambda maps, stage: maps["stack"].new_full((1, 2, 4, 4), fed if stage == 1 else 0.0))
        return [stage["stack"] for stage in stages]

    first, second = features(0.0), features(1.0)
    assert [torch.equal(a, b) for a, b in zip(first, second, strict=True)] == [True, True, False]


@pytest.mark.parametrize("connected", [None, 0])
def test_without_fed_back_channels_nothing_is_asked(connected: int | None) -> None:
    backbone = Hourglass(stacks=2, levels=1, channels=8, growth=4)
    if connected is not None:
        backbone.connect(connected)

    def feed_back(features: Features, stage: int) -> Tensor:
        raise AssertionError("asked for predictions that it cannot take")

    assert len(backbone(torch.zeros(1, 3, 16, 16), feed_back)) == 2


def test_one_stack_needs_no_feedback() -> None:
    backbone = Hourglass(stacks=1, levels=1, channels=8, growth=4)
    backbone.connect(2)
    assert len(backbone(torch.zeros(1, 3, 16, 16))) == 1


@pytest.mark.parametrize("batch_norm", [False, True, "before"])
def test_it_learns_two_images_from_scratch(batch_norm: BatchNorm) -> None:
    """Two stacks find where the bright squares are, without and with batch norm, from torch.nn's own initialisation."""
    torch.manual_seed(0)
    backbone = Hourglass(stacks=2, levels=2, channels=16, growth=8, batch_norm=batch_norm)
    heads = nn.ModuleList(nn.Conv2d(16, 1, 1) for _ in range(2))
    images, wanted = torch.zeros(2, 3, 64, 64), torch.zeros(2, 1, 16, 16)
    for image, (row, column) in enumerate(((3, 4), (10, 8))):
        images[image, :, 4 * row : 4 * row + 8, 4 * column : 4 * column + 8] = 1
        wanted[image, :, row : row + 2, column : column + 2] = 1
    optimiser = torch.optim.Adam([*backbone.parameters(), *heads.parameters()], lr=2e-3)
    for _ in range(60):
        stages = backbone(images)
        predicted = [head(stage["stack"]) for head, stage in zip(heads, stages, strict=True)]
        loss = torch.stack([(maps - wanted).square().mean() for maps in predicted]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1 * wanted.var()  # a tenth of what the constant mean would cost


def test_norms_before_the_activation_take_the_biases_away() -> None:
    """Of all convolutions: those between stacks have norms, too, but no activation."""
    backbone = Hourglass(stacks=2, levels=1, channels=8, growth=4, batch_norm="before")
    backbone.connect(2)
    assert all(module.bias is None for module in backbone.modules() if isinstance(module, nn.Conv2d))
    assert count(backbone.merge_predictions) == 2 * 8 + 2 * 8  # the weights, scale and shift
    fed = backbone.eval().merge_predictions[0](torch.randn(1, 2, 4, 4))
    assert (fed < 0).any()


@pytest.mark.parametrize(
    "options", [{"batch_norm": "after"}, {"stacks": 0}, {"levels": 0}, {"channels": 30}, {"channels": 0}, {"growth": -1}]
)
def test_what_it_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"backbone hourglass: {next(iter(options))}.*( should be|'after')"):
        Hourglass(**options)
