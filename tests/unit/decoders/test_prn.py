"""Candidates given to people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bottomup.contracts import Source
from bottomup.decoders.prn import Prn
from bottomup.geometry import Grid
from bottomup.heads.candidates import Candidates
from bottomup.heads.prn import Prn as PrnHead
from bottomup.heads.proposals import Proposals
from bottomup.skeletons import COCO
from bottomup.types import Batch, Frame, Instances, Outputs, Prediction, Task
from tests.scenes import make_batch

TASK = Task(COCO)


def people(counts: list[int], labelled: float = 1.0) -> Batch:
    """People in boxes beside each other, their keypoints inside."""
    batch = make_batch(counts, labelled=labelled)
    for n in range(batch.boxes.shape[1]):
        batch.boxes[:, n] = torch.tensor((4.0 + 40 * n, 4.0, 40.0 + 40 * n, 90.0))
        inside = batch.boxes[:, n, None, :2] + torch.rand(len(counts), 17, 2) * torch.tensor((36.0, 86.0))
        batch.keypoints[:, n] = inside * (batch.visibility[:, n, :, None] > 0)
    return batch


def ideal(batch: Batch) -> Outputs:
    source = Source(None, {})
    heads = (Candidates(source, TASK), Proposals(source, TASK), PrnHead(source, TASK, hidden=[4]))
    return {key: maps for head in heads for key, maps in head.ideal(batch).items()}


def decode(outputs: Outputs, batch: Batch, **options: Any) -> list[Instances]:
    frame = Frame({}, batch.size, batch.content)
    return [prediction.instances for prediction in Prn(TASK, **options)(outputs, frame)]


@pytest.mark.parametrize(("assignment", "labelled"), [("one_to_one", 1.0), ("one_to_one", 0.6), ("independent", 1.0)])
def test_true_outputs_give_the_people_back(assignment: str, labelled: float) -> None:
    torch.manual_seed(0)
    batch = people([2, 3, 0], labelled)
    found = decode(ideal(batch), batch, assignment=assignment, missing="none", score="fraction")
    for row, instances in enumerate(found):
        assert len(instances) == int(batch.present[row].sum())
        for n in range(len(instances)):
            which = int((instances.boxes[:, 0] - batch.boxes[row, n, 0]).abs().argmin())
            there = batch.labelled[row, n]
            assert (instances.keypoint_scores[which] > 0).tolist() == there.tolist()
            torch.testing.assert_close(instances.keypoints[which, there], batch.keypoints[row, n, there])
            assert instances.keypoints[which, ~there].isnan().all()
            assert instances.scores[which].item() == pytest.approx(there.float().mean().item())


def test_however_many_candidates_lie_elsewhere_the_people_come_back() -> None:
    torch.manual_seed(0)
    batch = people([3])
    outputs = ideal(batch)
    elsewhere = torch.tensor((1000.0, 1000.0, 1.0)).expand(1, 17, 40, 3)
    many = outputs | {"candidates": torch.cat((elsewhere, outputs["candidates"], elsewhere), dim=2)}
    few, same = decode(outputs, batch)[0], decode(many, batch)[0]
    torch.testing.assert_close(same.keypoints, few.keypoints, equal_nan=True)
    assert torch.equal(same.keypoint_scores, few.keypoint_scores) and (few.keypoint_scores > 0).all()


def test_one_candidate_is_not_given_to_two() -> None:
    batch = people([2])
    outputs = ideal(batch)
    outputs["proposals"][0, 1] = outputs["proposals"][0, 0]  # two boxes about one person
    outputs["assignment_logits"][0, 1] = outputs["assignment_logits"][0, 0] - 0.1
    outputs["candidates"][0, :, 1, 2] = 0.0
    shared, own = (
        decode(outputs, batch, assignment=name, unposed="keep", missing="none")[0] for name in ("independent", "one_to_one")
    )
    assert (shared.keypoint_scores > 0).all()
    assert (own.keypoint_scores[0] > 0).all() and not (own.keypoint_scores[1] > 0).any()


def test_the_order_of_people_and_candidates_does_not_matter() -> None:
    torch.manual_seed(0)
    batch = people([3])
    outputs = ideal(batch)
    turned = {
        "candidates": outputs["candidates"].flip(2),
        "proposals": outputs["proposals"].flip(1),
        "proposal_scores": outputs["proposal_scores"].flip(1),
        "assignment_logits": outputs["assignment_logits"].flip(1),
    }
    here, there = decode(outputs, batch)[0], decode(turned, batch)[0]
    for box, keypoints in zip(here.boxes, here.keypoints, strict=True):
        which = int((there.boxes - box).abs().sum(1).argmin())
        torch.testing.assert_close(there.keypoints[which], keypoints)


def test_a_missing_keypoint_may_stand_where_the_network_expects_it() -> None:
    batch = people([1])
    outputs = ideal(batch)
    outputs["candidates"][0, 5, :, 2] = 0.0
    left_out, placed = (decode(outputs, batch, missing=name)[0] for name in ("none", "maximum"))
    assert left_out.keypoints[0, 5].isnan().all()
    assert (placed.keypoints[0, 5] - batch.keypoints[0, 0, 5]).abs().max() < 2.0  # a crop cell of 1 x 1.5 px
    assert 0 < placed.keypoint_scores[0, 5] < 1
    assert placed.scores.tolist() == left_out.scores.tolist() == pytest.approx([16 / 17])
    told = [Prediction(found, batch.size, image_id=1).to_coco()[0]["keypoints"][15:18] for found in (left_out, placed)]
    assert told[0] == [0, 0, 0] and told[1][2] > 0  # who reads results sees it, too


def test_a_keypoint_placed_by_a_softmax_over_all_cells_is_told_too() -> None:
    torch.manual_seed(0)
    batch = people([1])
    outputs = ideal(batch)
    outputs["candidates"][0, 5, :, 2] = 0.0
    outputs |= PrnHead(Source(None, {}), TASK, hidden=[4]).eval()({}, outputs)  # activations of 1 / 34,272
    (placed,) = decode(outputs, batch, missing="maximum")
    (record,) = Prediction(placed, batch.size, image_id=1).to_coco()
    assert record["keypoints"][17] > 0.01 and 0.01 < placed.keypoint_scores[0, 5] < 1


def test_what_nothing_is_expected_of_is_not_placed() -> None:
    batch = people([1])
    outputs = ideal(batch)
    outputs["candidates"][0, 5, :, 2] = 0.0
    (found,) = decode(
        outputs | PrnHead(Source(None, {}), TASK, relation="max")({}, outputs), batch
    )  # highest where there is no peak
    assert found.keypoints[0].isnan().all(1).nonzero().tolist() == [[5]] and found.keypoint_scores[0, 5] == 0


def test_scores_may_count_box_and_keypoints() -> None:
    batch = people([1])
    outputs = ideal(batch)
    outputs["candidates"][..., 2] *= 0.5
    outputs["proposal_scores"] *= 0.8
    assert decode(outputs, batch, score="fraction")[0].scores.tolist() == [1.0]
    for score in ("found_and_box", "keypoints_and_box"):
        assert decode(outputs, batch, score=score)[0].scores[0].item() == pytest.approx(0.4)
    outputs["candidates"][:, :5, :, 2] = 0.0  # a keypoint that is missing counts as one of score 0, or not at all
    found, every = (decode(outputs, batch, score=score)[0].scores[0].item() for score in ("found_and_box", "keypoints_and_box"))
    assert found == pytest.approx(0.4) and every == pytest.approx(0.4 * 12 / 17)


def test_a_box_of_nobody_takes_no_keypoints_from_a_person() -> None:
    batch = people([1])
    outputs = ideal(batch)
    spurious = outputs["proposals"] + torch.tensor((8.0, 0.0, 8.0, 0.0))
    outputs |= {
        "proposals": torch.cat((spurious, outputs["proposals"]), dim=1),
        "proposal_scores": torch.tensor([[0.2, 0.9]]),
        "assignment_logits": torch.cat((outputs["assignment_logits"] + 0.3, outputs["assignment_logits"]), dim=1),
    }
    stolen = decode(outputs, batch, value="candidate", missing="none", unposed="keep")[0]
    (mine,) = decode(outputs, batch)
    assert (stolen.keypoint_scores > 0).sum() == 17 and stolen.scores[0] < 0.9
    assert len(mine) == 1 and mine.box_scores is not None
    assert mine.box_scores[0].item() == mine.scores[0].item() == pytest.approx(0.9) and (mine.keypoint_scores > 0).all()


def test_of_two_poses_that_are_alike_one_may_stay() -> None:
    batch = people([2])
    outputs = ideal(batch)
    outputs["proposals"][0, 1] = outputs["proposals"][0, 0]
    outputs["assignment_logits"][0, 1] = outputs["assignment_logits"][0, 0]
    outputs["proposal_scores"] = torch.tensor([[0.9, 0.6]])
    alike = {"assignment": "independent"}
    assert len(decode(outputs, batch, **alike)[0]) == 2
    (one,) = decode(outputs, batch, **alike, nms_threshold=0.7)
    assert one.scores.tolist() == pytest.approx([0.9])
    assert len(decode(ideal(batch), batch, nms_threshold=0.7)[0]) == 2


def test_of_many_candidates_in_a_box_the_best_count_wherever_they_lie() -> None:
    torch.manual_seed(0)
    batch = people([1])
    outputs = ideal(batch)
    middle = (batch.boxes[0, 0, :2] + batch.boxes[0, 0, 2:]) / 2
    false = torch.cat((middle + torch.rand(1, 17, 20, 2), torch.full((1, 17, 20, 1), 0.2)), dim=-1)
    (found,) = decode(outputs | {"candidates": torch.cat((false, outputs["candidates"]), dim=2)}, batch)
    torch.testing.assert_close(found.keypoints[0], batch.keypoints[0, 0])


def test_bright_padding_gives_no_instance() -> None:
    batch = replace(people([2, 2]), content=torch.tensor(((0.0, 0.0, 42.0, 96.0), (0.0, 0.0, 128.0, 96.0))))
    outputs = ideal(batch)
    cut, whole = decode(outputs, batch)
    assert len(whole) == 2 and len(cut) == 1  # the second person of the first image stands in its padding
    torch.testing.assert_close(cut.boxes[0], batch.boxes[0, 0])
    bright = outputs["candidates"].clone()
    bright[0, :, 0, 0] += 60.0  # what lies in the padding is not moved into the image
    assert [len(found) for found in decode(outputs | {"candidates": bright}, batch, margin=5.0)] == [0, 2]


def test_a_peak_whose_cell_touches_the_image_is_one() -> None:
    batch = people([1])
    batch = replace(batch, content=torch.tensor(((0.0, 0.0, 128.0, 91.0),)))
    outputs = ideal(batch)
    outputs["candidates"][0, 3, 0, 1] = 92.0
    grids = {"heatmap": Grid.centred(4)}
    decoder = Prn(TASK, missing="none")
    (near,) = decoder(outputs, Frame(grids, batch.size, batch.content))
    (far,) = decoder(outputs, Frame({"heatmap": Grid.centred(1)}, batch.size, batch.content))
    assert near.instances.keypoints[0, 3, 1] == 91.0 and far.instances.keypoints[0, 3].isnan().all()


def test_nobody_and_no_candidates() -> None:
    batch = people([2, 0])
    outputs = ideal(batch)
    outputs["candidates"][..., 2] = 0.0
    assert [len(instances) for instances in decode(outputs, batch)] == [0, 0]
    found = decode(outputs, batch, unposed="keep", missing="none")
    assert [len(instances) for instances in found] == [2, 0]
    assert found[0].keypoints.isnan().all() and (found[0].scores == 0).all()


def test_matches_are_worth_the_most_together_not_the_most_in_number() -> None:
    values = np.array([[0.055, 1e-9], [0.020, 0.0]], np.float32)
    people, chosen = Prn(TASK).grouping.match(values)
    assert (people.tolist(), chosen.tolist()) == ([0], [0])
