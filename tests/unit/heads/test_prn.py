"""The Pose Residual Network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bottomup.contracts import Level, Source
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.heads.candidates import Candidates
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.prn import Prn
from bottomup.heads.proposals import Proposals
from bottomup.ops.crops import CROP
from bottomup.skeletons import COCO
from bottomup.types import Outputs, Task
from tests.scenes import make_batch

SMALL: dict[str, Any] = {"hidden": [8], "dropout": 0.0}


def make_head(grids: dict[str, Grid] | None = None, **options: Any) -> Prn:
    torch.manual_seed(0)
    return Prn(Source(None, grids or {}), Task(COCO), **(SMALL | options))


def make_outputs(images: int = 2, people: int = 3, candidates: int = 4) -> Outputs:
    random = torch.Generator().manual_seed(1)
    corner = torch.rand(images, people, 2, generator=random) * 40
    boxes = torch.cat((corner, corner + 20 + 30 * torch.rand(images, people, 2, generator=random)), dim=-1)
    points = torch.rand(images, 17, candidates, 2, generator=random) * 90
    scores = torch.ones(images, 17, candidates, 1)
    return {"candidates": torch.cat((points, scores), dim=-1), "proposals": boxes, "proposal_scores": torch.ones(images, people)}


def test_the_published_network_has_seventy_million_parameters() -> None:
    with torch.device("meta"):
        head = Prn(Source(None, {}), Task(COCO))
    assert sum(p.numel() for p in head.parameters()) == pytest.approx(70.2e6, rel=1e-3)


@pytest.mark.parametrize("softmax", ["all", "keypoint"])
def test_activations_are_distributions(softmax: str) -> None:
    activation = make_head(softmax=softmax)({}, make_outputs())["assignment_logits"].exp()
    assert activation.shape == (2, 3, 17, *CROP)
    total = activation.sum((2, 3, 4)) if softmax == "all" else activation.sum((3, 4))
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-4, rtol=0)


def test_a_residual_network_that_corrects_nothing_returns_its_input() -> None:
    head = make_head(softmax="keypoint", input_mass=500.0)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    outputs = make_outputs(images=1, people=1, candidates=1)
    outputs["proposals"][:] = torch.tensor((0.0, 0.0, 90.0, 90.0))
    highest = head({}, outputs)["assignment_logits"][0, 0].flatten(1).argmax(1)
    wanted = outputs["candidates"][0, :, 0, :2] / 90 * torch.tensor((36.0, 56.0))
    assert (torch.stack((highest % 36, highest // 36), 1) - (wanted - 0.5)).abs().max() <= 0.5 + 1e-4


def test_people_are_seen_alone_wherever_and_however_large_they_are() -> None:
    head, outputs = make_head(), make_outputs()
    scale, shift = torch.tensor((1.7, 0.6)), torch.tensor((40.0, -10.0))
    points = outputs["candidates"][..., :2] * scale + shift
    boxes = (outputs["proposals"].unflatten(-1, (2, 2)) * scale + shift).flatten(-2)
    moved = outputs | {"candidates": torch.cat((points, outputs["candidates"][..., 2:]), -1), "proposals": boxes}
    there = head({}, outputs)["assignment_logits"]
    torch.testing.assert_close(head({}, moved)["assignment_logits"], there, atol=1e-3, rtol=1e-3)
    one = {key: value[:1, 1:2] if key != "candidates" else value[:1] for key, value in outputs.items()}
    torch.testing.assert_close(head({}, one)["assignment_logits"][0, 0], there[0, 1], atol=1e-4, rtol=1e-4)


def test_candidates_of_no_score_or_far_off_leave_no_trace() -> None:
    head, outputs = make_head(), make_outputs(candidates=2)
    without = outputs | {"candidates": outputs["candidates"][:, :, :1]}
    for points, score in ((torch.tensor((25.0, 25.0)), 0.0), (torch.tensor((500.0, 500.0)), 1.0)):
        candidates = outputs["candidates"].clone()
        candidates[:, :, 1, :2], candidates[:, :, 1, 2] = points, score
        found = head({}, outputs | {"candidates": candidates})["assignment_logits"]
        torch.testing.assert_close(found, head({}, without)["assignment_logits"])


def test_targets_are_those_of_the_person_that_the_box_overlaps() -> None:
    batch = make_batch([2])
    batch.boxes[0, :2] = torch.tensor(((0.0, 0.0, 60.0, 90.0), (50.0, 0.0, 120.0, 90.0)))
    batch.keypoints[0, 0], batch.keypoints[0, 1] = torch.tensor((15.0, 45.0)), torch.tensor((85.0, 45.0))
    boxes = torch.tensor(((50.0, 0.0, 118.0, 90.0), (2.0, 0.0, 60.0, 90.0), (40.0, 0.0, 60.0, 20.0)))[None]
    targets = make_head().encode(batch, {"proposals": boxes, "proposal_scores": torch.ones(1, 3)})
    assert targets["counted"].tolist() == [[True, True, False]]
    columns = targets["target"][0, :, 0].sum(1).argmax(-1) + 0.5
    assert columns[0].item() == pytest.approx((85 - 50) / 68 * 36, abs=0.6)
    assert columns[1].item() == pytest.approx((15 - 2) / 58 * 36, abs=0.6)


def test_people_of_few_keypoints_and_padding_do_not_count() -> None:
    batch = make_batch([2])
    batch.visibility[0, 1, 1:] = 0
    batch.boxes[0, :2] = torch.tensor(((0.0, 0.0, 40.0, 90.0), (60.0, 0.0, 120.0, 90.0)))
    proposals = {"proposals": batch.boxes, "proposal_scores": torch.tensor([[1.0, 1.0]])}
    assert make_head(min_keypoints=2).encode(batch, proposals)["counted"].tolist() == [[True, False]]
    assert make_head(min_keypoints=1).encode(batch, proposals)["counted"].tolist() == [[True, True]]
    proposals["proposal_scores"] = torch.tensor([[0.0, 1.0]])
    assert make_head(min_keypoints=1).encode(batch, proposals)["counted"].tolist() == [[False, True]]


@pytest.mark.parametrize("relation", ["prn", "plain", "ucr"])
def test_a_loss_is_one_finite_number_an_image_and_reaches_the_weights(relation: str) -> None:
    head, batch = make_head(relation=relation), make_batch([3, 0])
    outputs = make_outputs()
    outputs["proposals"], outputs["proposal_scores"] = batch.boxes, batch.present.float()
    losses = head.loss(head({}, outputs), head.encode(batch, outputs))
    assert losses["bce"].shape == (2,) and losses["bce"].isfinite().all() and losses["bce"][1] == 0
    losses["bce"].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize("relation", ["prn", "ucr", "max"])
def test_the_loss_is_the_binary_cross_entropy_of_the_activations(relation: str) -> None:
    head, batch = make_head(relation=relation), make_batch([3])
    proposals = {"proposals": batch.boxes, "proposal_scores": batch.present.float()}
    outputs, targets = head({}, make_outputs(images=1) | proposals), head.encode(batch, proposals)
    activations = head.relate.supervised(outputs["assignment_logits"]).exp()
    entropy = F.binary_cross_entropy(activations, targets["target"], reduction="none").sum((2, 3, 4))  # (B, R)
    torch.testing.assert_close(head.loss(outputs, targets)["bce"], entropy.mean(1), rtol=1e-4, atol=1e-4)


def test_an_activation_of_one_has_a_finite_loss() -> None:
    head, batch = make_head(), make_batch([1])
    targets = head.encode(batch, {"proposals": batch.boxes, "proposal_scores": batch.present.float()})
    logits = torch.full_like(targets["target"], -200.0)
    logits[0, 0, :, 0, 0] = 0.0
    logits.requires_grad_()
    loss = head.loss({"assignment_logits": logits}, targets)["bce"]
    loss.sum().backward()
    assert loss.isfinite().all() and logits.grad is not None and logits.grad.isfinite().all()


def test_the_loss_is_least_at_the_target() -> None:
    head, batch = make_head(softmax="keypoint"), make_batch([1])
    proposals = {"proposals": batch.boxes, "proposal_scores": batch.present.float()}
    targets = head.encode(batch, proposals)
    ideal = head.loss(head.ideal(batch), targets)["bce"]
    shifted = {"assignment_logits": head.ideal(batch)["assignment_logits"].roll(1, -1)}
    assert ideal < head.loss(shifted, targets)["bce"]


def test_max_takes_the_highest_cell_and_ucr_weighs_by_its_prior() -> None:
    outputs = make_outputs(images=1, people=1, candidates=2)
    outputs["proposals"][:] = torch.tensor((0.0, 0.0, 90.0, 90.0))
    outputs["candidates"][..., 0, :2] = torch.tensor((20.0, 20.0))
    outputs["candidates"][..., 1, :2] = torch.tensor((70.0, 70.0))
    outputs["candidates"][..., 0, 2] = 0.5

    def share_of_first(head: Prn) -> Tensor:
        activation = head({}, outputs)["assignment_logits"].exp()[0, 0]
        return activation[:, :28].sum((1, 2)) / activation.sum((1, 2))

    assert (share_of_first(make_head(relation="max")) < 0.01).all()
    ucr = make_head(relation="ucr", input_scores=False)
    torch.testing.assert_close(share_of_first(ucr), torch.full((17,), 0.5), atol=1e-3, rtol=0)
    with torch.no_grad():
        ucr.get_parameter("relate.logits")[:, :28] -= 5
    assert (share_of_first(ucr) < 0.02).all()


@pytest.mark.parametrize("grid", [Grid.centred(4), Grid.cornered(8)])
def test_the_heatmap_is_cropped_where_the_box_is(grid: Grid) -> None:
    size = (96, 128) if grid.origin != 0.5 else (97, 129)
    head = make_head({"heatmap": grid}, input="crop", relation="ucr")
    h, w = grid.shape(size)
    place = torch.tensor((52.5, 44.5))
    apart = (grid.centres(w, place)[None] - place[0]) ** 2 + (grid.centres(h, place)[:, None] - place[1]) ** 2
    heatmap = torch.exp(-apart / (2 * 10.0**2)).expand(1, 17, h, w)
    box = torch.tensor((16.5, 8.5, 88.5, 80.5))
    outputs = {"heatmap": heatmap, "proposals": box[None, None], "proposal_scores": torch.ones(1, 1)}
    crop = head({}, outputs)["assignment_logits"].exp()[0, 0, 0]
    rows, columns = torch.meshgrid(torch.arange(56) + 0.5, torch.arange(36) + 0.5, indexing="ij")
    centre = torch.stack(((crop * columns).sum(), (crop * rows).sum())) / crop.sum()
    torch.testing.assert_close(centre, (place - box[:2]) / 72 * torch.tensor((36.0, 56.0)), atol=0.3, rtol=0)


@pytest.mark.parametrize("people", [1, 3])
def test_from_labels_the_crops_are_those_of_the_ideal_heatmap(people: int) -> None:
    """Drawn in the box alone, as maps of a batch of hundreds of people would take gigabytes; people that meet differ by little."""
    torch.manual_seed(0)
    batch, grid = make_batch([people, people]), Grid.centred(4)
    batch.keypoints[:] = 24 + torch.rand_like(batch.keypoints) * torch.tensor((80.0, 48.0))
    given = Candidates(Source(None, {}), Task(COCO)).ideal(batch)
    boxes = torch.tensor(((10.0, 14.0, 90.0, 84.0), (40.0, 20.0, 61.0, 79.0))).expand(2, 2, 4)
    given |= {"proposals": boxes, "proposal_scores": torch.ones(2, 2)}
    heatmap = Heatmap(Source({"D": Level(8, grid)}), Task(COCO), sigma=7.0).ideal(batch)
    read = make_head({"heatmap": grid}, input="crop").crops(given | heatmap)
    drawn = make_head(input="crop", heatmap_sigma=7.0).crops(given)
    apart = (drawn - read).abs()
    assert apart.max() < (1e-3 if people == 1 else 0.2) and apart.mean() < read.mean() / 20


def test_crops_from_labels_need_no_heatmap_and_are_as_high_as_the_candidates_score() -> None:
    head, outputs = make_head(input="crop"), make_outputs()
    assert "candidates" in head.requires and "heatmap | heatmap_logits" not in head.requires
    half = outputs | {"candidates": outputs["candidates"] * torch.tensor((1.0, 1.0, 0.5))}
    torch.testing.assert_close(head.crops(half), head.crops(outputs) / 2)
    head({}, outputs)["assignment_logits"].sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'plain'"):
        make_head(relation="plan")
    with pytest.raises(ConfigError, match="hidden"):
        make_head(hidden=[])
    with pytest.raises(ConfigError, match="peaks where its sigma"):
        make_head({"heatmap": Grid(4, 2)}, input="crop", margin=0.1)


def test_what_the_network_reads_learns_nothing_from_it_even_where_boxes_have_no_area() -> None:
    """Proposals and candidates are given: a division by a padded box's sides must not reach the networks before."""
    boxes, heatmap = torch.zeros(1, 40, 4, requires_grad=True), torch.rand(1, 17, 16, 16, requires_grad=True)
    scores = torch.full((1, 40, 1), -9.0, requires_grad=True)  # nobody: all proposals are padding
    anchors = torch.tensor((0.0, 0.0, 8.0, 8.0)).expand(1, 40, 4)
    outputs = {"class_logits": scores, "box_deltas": boxes, "anchors": anchors, "heatmap": heatmap}
    outputs |= Proposals(Source(None, {}), Task(COCO))({}, outputs)
    outputs |= Candidates(Source(None, {"heatmap": Grid(4, 2)}), Task(COCO))({}, outputs)
    assert not any(outputs[key].requires_grad for key in ("proposals", "proposal_scores", "candidates"))
    crops = make_head({"heatmap": Grid(4, 2)}, input="crop")
    crops({}, outputs)["assignment_logits"].sum().backward()
    assert heatmap.grad is None and all(parameter.grad is not None for parameter in crops.parameters())


@pytest.mark.parametrize("who", ["all", "annotated"])
def test_ideal_proposals_and_the_ideal_network_are_of_the_same_people(who: str) -> None:
    batch = make_batch([3])
    batch.boxes[0] = torch.tensor(((0.0, 0.0, 40.0, 60.0), (30.0, 10.0, 80.0, 90.0), (70.0, 0.0, 120.0, 80.0)))
    batch.keypoints[0] = (batch.boxes[0, :, :2] + batch.boxes[0, :, 2:])[:, None] / 2
    batch.visibility[0, 0] = 0
    proposals = Proposals(Source(None, {}), Task(COCO), who=who)  # type: ignore[arg-type]
    given = proposals.ideal(batch)
    there = given["proposal_scores"][0] > 0
    assert there.tolist() == [who == "all", True, True]
    targets = make_head().encode(batch, given)["target"]
    torch.testing.assert_close(make_head().ideal(batch)["assignment_logits"].exp()[0, there], targets[0, there], atol=1e-6, rtol=0)
    first = Proposals(Source(None, {}), Task(COCO), who=who, first=2).teaching(batch)  # type: ignore[arg-type]
    assert first["proposals"].tolist() == [batch.boxes[0][there][:2].tolist()]
