"""The prediction of a key is that of the last stage it exists on, or of a head that joins its stages their merge."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from bottomup.assembly import HeadSpec, assemble
from bottomup.backbones.hourglass import Hourglass
from bottomup.contracts import Source
from bottomup.engine.objective import compute_losses
from bottomup.geometry import Grid, resize
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.tags import Tags
from bottomup.model import PoseModel
from bottomup.skeletons import COCO
from bottomup.types import Features, Outputs, Task
from bottomup.views.batches import make_view
from bottomup.views.maps import merge, unflip
from tests.contracts import dummies as d
from tests.scenes import make_batch

TASK = Task(COCO)
SIZE = (64, 96)
FINE, COARSE = Grid.centred(2), Grid.centred(4)


class Reader(d.CountingHead):
    """Reads heatmap and tags on the stages that it is on, and remembers what it saw."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self.conv = torch.nn.Conv2d(source.level.channels, 1, 1)
        self.provides, self.grids = {"read": "B C h w"}, {"read": source.level.grid}
        self.requires = {"heatmap": "B K h w", "tags": "B K D h w"}

    def forward(self, features: Features, outputs: Outputs) -> Outputs:
        self.saw = {key: outputs[key] for key in self.requires}
        (maps,) = features.values()
        return {"read": self.conv(maps)}

    def ideal(self, batch):  # type: ignore[no-untyped-def]
        raise NotImplementedError


def build(**wiring: object) -> PoseModel:
    """Heatmaps on both of a neck's stages, of which the mean counts, and tags on the first."""
    torch.manual_seed(0)
    heads = {"heatmap": HeadSpec(Heatmap, prediction="mean"), "tags": HeadSpec(Tags, last_stage=-2)}
    heads |= wiring.pop("heads", {})  # type: ignore[arg-type]
    return assemble(d.StackBackbone(1), TASK, heads, necks={"finer": d.FinerNeck}, default_neck="finer", **wiring)  # type: ignore[arg-type]


def test_the_mean_of_two_stages_lies_on_the_last_ones_grid() -> None:
    model = build().eval()
    images = make_batch([2, 1], SIZE).images
    coarse, fine = model(images, stages="all")
    (predicted,) = model(images)
    assert coarse["heatmap"].shape[-2:] == COARSE.shape(SIZE) and fine["heatmap"].shape[-2:] == FINE.shape(SIZE)
    raised = resize(coarse["heatmap"], COARSE, FINE, FINE.shape(SIZE))
    torch.testing.assert_close(predicted["heatmap"], (raised + fine["heatmap"]) / 2)
    assert model.grids == {"heatmap": FINE, "tags": COARSE}


def test_what_ends_on_an_earlier_stage_is_predicted_there() -> None:
    model = build().eval()
    images = make_batch([2, 1], SIZE).images
    first, last = model(images, stages="all")
    (predicted,) = model(images)
    assert predicted["tags"].shape[-2:] == COARSE.shape(SIZE)
    assert torch.equal(predicted["tags"], first["tags"])
    assert torch.equal(last["tags"], first["tags"]), "it stands among the last stage's outputs, too"


def test_losses_are_of_each_stage_by_itself() -> None:
    model, batch = build(), make_batch([2, 1], SIZE)
    outputs = model(batch.images, stages="all")
    losses = compute_losses(model, outputs, batch)
    heatmap = model.stack("heatmap")
    own = [heatmap.at(stage).loss(outputs[stage], heatmap.at(stage).encode(batch, {}))["mse"] for stage in (-2, -1)]
    torch.testing.assert_close(losses.terms["heatmap/mse"], torch.stack(own).mean(0).detach())
    assert set(losses.terms) == {"heatmap/mse", "tags/pull", "tags/push"} and "tags/between" in losses.metrics


@pytest.mark.parametrize("stages", ["all", "last"])
def test_a_head_on_the_last_stage_sees_predictions_and_on_others_its_own_stage(stages: str) -> None:
    model = build(heads={"reader": HeadSpec(Reader)}, trained=["heatmap", "tags", "reader"]).eval()
    images = make_batch([1], SIZE).images
    outputs = model(images, stages=stages)
    (predicted,) = model(images)
    stack = model.stack("reader")
    assert stack.at(-1).source.grids == {"heatmap": FINE, "tags": COARSE}
    assert stack.at(-2).source.grids == {"heatmap": COARSE, "tags": COARSE}
    for key, maps in stack.at(-1).saw.items():
        assert torch.equal(maps, predicted[key])
    if stages == "all":
        for key, maps in stack.at(-2).saw.items():
            assert torch.equal(maps, outputs[-2][key])


def test_a_flawless_prediction_is_made_of_flawless_stages() -> None:
    model, batch = (
        build(heads={"heatmap": HeadSpec(partial(Heatmap, sigma_cells=2.0), prediction="mean")}),
        make_batch([2, 1], SIZE),
    )
    heatmap = model.stack("heatmap")
    coarse, fine = (heatmap.at(stage).ideal(batch)["heatmap"] for stage in (-2, -1))
    assert coarse.mean() > 1.5 * fine.mean(), "gaussians of two cells are wider on coarser cells"
    ideal = model.ideal(batch, ["heatmap", "tags"])
    assert torch.allclose(ideal["heatmap"], (resize(coarse, COARSE, FINE, FINE.shape(SIZE)) + fine) / 2)
    assert ideal["tags"].shape[-2:] == COARSE.shape(SIZE)
    assert model.eval()(batch.images, given=ideal)[0] == ideal


def test_views_of_joined_stages_are_joined_after_them() -> None:
    model, batch = build().eval(), make_batch([2, 1], SIZE)
    outputs, frame = model(batch.images)[0], model.frame(batch)
    view = make_view(batch, SIZE, 1.0, True, model.fill, COCO.flip_order)
    mirrored = unflip(model, model(view.images)[0], model.frame(view))
    merged = merge(model, [outputs, mirrored], [frame, model.frame(view).flipped()], frame)
    torch.testing.assert_close(merged["heatmap"], (outputs["heatmap"] + mirrored["heatmap"]) / 2)
    assert merged["tags"].shape == (2, 17, 2, *COARSE.shape(SIZE))
    torch.testing.assert_close(merged["tags"][:, :, 0] * 2**0.5, outputs["tags"][:, :, 0])


def test_only_the_stages_that_a_prediction_is_made_of_run_for_it() -> None:
    def runs(**wiring: object) -> list[int]:
        heads = {"heatmap": HeadSpec(d.MapHead, **wiring)}
        model = assemble(d.PyramidBackbone(), TASK, heads, necks={"keypoints": d.SupervisedNeck}, default_neck="keypoints")
        model.eval()(make_batch([1], SIZE).images)
        return [head.runs for head in model.stack("heatmap").heads]  # type: ignore[union-attr]

    assert runs() == [0, 0, 0, 0, 1]
    assert runs(prediction="mean") == [1, 1, 1, 1, 1]


def test_what_only_later_stages_use_is_frozen_with_the_heads_there() -> None:
    model, batch = build(trained=["tags"]), make_batch([2, 1], SIZE)
    compute_losses(model, model(batch.images, stages="all"), batch).total.mean().backward()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not [name for name in trainable if name.startswith(("necks.finer.up", "heads.heatmap"))]
    assert [name for name in trainable if name.startswith("backbone")]
    later = assemble(d.StackBackbone(3), TASK, {"heatmap": Heatmap, "tags": HeadSpec(Tags, last_stage=-2)}, trained=["heatmap"])
    assert all(parameter.requires_grad for parameter in later.backbone.parameters())


def test_an_hourglass_s_later_stacks_rest_where_nothing_trained_reads_them() -> None:
    backbone = Hourglass(stacks=3, levels=1, channels=8, growth=4)
    heads = {"heatmap": Heatmap, "tags": HeadSpec(Tags, last_stage=-2)}
    model, batch = assemble(backbone, TASK, heads, trained=["tags"]), make_batch([2, 1], SIZE)
    assert model.fed_back == ("heatmap", "tags")
    compute_losses(model, model(batch.images, stages="all"), batch).total.mean().backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not any(parameter.requires_grad for parameter in backbone.hourglasses[2].parameters())
    assert all(parameter.requires_grad for parameter in backbone.hourglasses[1].parameters())


def test_heads_that_end_before_the_last_feeding_stage_are_not_fed_back() -> None:
    model = assemble(d.StackBackbone(4), TASK, {"heatmap": Heatmap, "tags": HeadSpec(Tags, last_stage=-3)}).eval()
    assert model.fed_back == ("heatmap",)
    assert model(make_batch([1], (32, 32)).images)[0].keys() == {"heatmap", "tags"}


@pytest.mark.parametrize("last_stage", [-3, 0, 1, 1.5])
def test_a_last_stage_that_is_not_there_is_refused(last_stage: float) -> None:
    with pytest.raises(ValueError, match="last_stage should be "):
        build(heads={"tags": HeadSpec(Tags, last_stage=last_stage)})  # type: ignore[arg-type]


def test_a_last_stage_that_nobody_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="no head reads the last stage of finer: let one of heatmap, tags have last_stage -1"):
        build(heads={"heatmap": HeadSpec(Heatmap, last_stage=-2)})


def test_a_head_that_needs_what_has_ended_on_a_stage_between_is_refused() -> None:
    heads = {"heatmap": Heatmap, "tags": HeadSpec(Tags, last_stage=-3), "reader": Reader}
    with pytest.raises(ValueError, match="requires tags, which head 'tags' provides on 2; let both read the same neck"):
        assemble(d.StackBackbone(4), TASK, heads)
