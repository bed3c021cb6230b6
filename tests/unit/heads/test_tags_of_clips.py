"""Tags over the frames of a clip: one per person, whatever the frame; of one frame they are what they always were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bottomup.contracts import Level, Source
from bottomup.engine.distributed import Ranks
from bottomup.errors import ConfigError
from bottomup.geometry import Grid
from bottomup.heads.tags import Tags
from bottomup.plan.training import train_plan
from bottomup.skeletons import COCO
from bottomup.types import Batch, Task
from bottomup.workflows.train import make_trainer
from tests.scenes import make_batch

GRID = Grid.centred(4)


def make_head(frames: int, **options: Any) -> Tags:
    return Tags(Source({"stack": Level(4, GRID)}), Task(COCO), frames=frames, **options)


def clip(tracks: list[list[int]]) -> Batch:
    """Frames with two people each, whose identities are ``tracks``."""
    batch = make_batch([2] * len(tracks))
    return replace(batch, tracks=torch.tensor(tracks))


def painted(head: Tags, batch: Batch, values: Tensor) -> dict[str, Tensor]:
    """Maps that hold at each keypoint its person's value, of values (B, N)."""
    ideal = head.ideal(batch)["tags"]
    own = (ideal / 10).round().long()  # whose cell it is
    return {"tags": torch.stack([values[row][own[row]] for row in range(len(batch))])}


def terms(head: Tags, batch: Batch, values: list[list[float]]) -> dict[str, Tensor]:
    outputs = painted(head, batch, torch.tensor(values))
    return head.loss(outputs, head.encode(batch, outputs))


def test_one_tag_for_each_person_in_all_frames_costs_nothing() -> None:
    loss = terms(make_head(2), clip([[4, 7], [7, 4]]), [[0.0, 9.0], [9.0, 0.0]])
    assert loss["pull"].tolist() == pytest.approx([0, 0], abs=1e-6) and loss["push"].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_tags_that_number_people_anew_in_every_frame_do() -> None:
    """Within each frame all is well, and a head of single images sees no fault."""
    batch, values = clip([[4, 7], [7, 4]]), [[0.0, 9.0], [0.0, 9.0]]
    assert terms(make_head(1), batch, values)["pull"].abs().max() < 1e-6
    assert (terms(make_head(2), batch, values)["pull"] > 10).all()


def test_strangers_of_different_frames_are_pushed_apart() -> None:
    values = [[0.0, 9.0], [0.0, 18.0]]  # the first of both frames are alike
    assert (terms(make_head(2), clip([[1, 2], [3, 4]]), values)["push"] > 0.05).all()
    assert (terms(make_head(2), clip([[1, 2], [1, 4]]), values)["push"] < 1e-6).all()


def test_clips_of_a_batch_do_not_know_one_another() -> None:
    head = make_head(2)
    batch, values = clip([[1, 2], [1, 2], [3, 4], [3, 4]]), [[0.0, 5.0], [1.0, 4.0], [0.0, 5.0], [0.5, 5.0]]
    both = terms(head, batch, values)
    first, second = (terms(head, clip([[1, 2], [1, 2]]), values[:2]), terms(head, clip([[3, 4], [3, 4]]), values[2:]))
    for name in ("pull", "push"):
        alone = torch.stack((first[name][0], second[name][0]))
        torch.testing.assert_close(both[name][[0, 2]], alone, rtol=1e-3, atol=1e-4)


def test_a_clip_of_one_frame_shown_twice_pulls_as_the_frame() -> None:
    batch = make_batch([2])
    twice = Batch(
        **{**vars(batch), **{name: _twice(value) for name, value in vars(batch).items()}, "tracks": torch.tensor([[1, 2]] * 2)}
    )
    torch.manual_seed(0)
    maps = torch.randn(1, 17, 1, 24, 32)
    head = make_head(2)
    one = make_head(1).loss({"tags": maps}, make_head(1).encode(batch, {}))
    two = head.loss({"tags": maps.repeat(2, 1, 1, 1, 1)}, head.encode(twice, {}))
    torch.testing.assert_close(two["pull"], one["pull"].repeat(2))


def _twice(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.cat((value, value))
    return value + value if isinstance(value, tuple) and value and not isinstance(value[0], int) else value


def test_images_without_identities_are_each_by_themselves() -> None:
    batch = make_batch([2, 2])
    maps = {"tags": torch.randn(2, 17, 1, 24, 32)}
    alone, along = make_head(1), make_head(2)
    for name, term in alone.loss(maps, alone.encode(batch, maps)).items():
        torch.testing.assert_close(along.loss(maps, along.encode(batch, maps))[name], term)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.together=1"], "heads.tags.frames=4 learns from so many frames of a clip at once; .*data.together=4, not 1"),
        (["data=synthetic", "data.together=4"], "data=synthetic has no clips"),
        (["engine.batch_size=6"], "engine.batch_size=6 cuts groups of data.together=4"),
    ],
)
def test_what_is_no_clip_is_said(overrides: list[str], words: str, tmp_path: Path) -> None:
    plan = train_plan(["experiment=demo/associative_embedding_video", "backbone.channels=8", "backbone.growth=4", *overrides])
    with pytest.raises(ConfigError, match=words):
        make_trainer(plan, tmp_path, Ranks())
