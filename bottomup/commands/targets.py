"""``bottomup show_targets``: augmented images with people, ignore maps and every head's ideal maps, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bottomup.commands.setting import dataset_of, output_folder, training_set
from bottomup.compose import compose_model
from bottomup.data.loader import collate
from bottomup.types import Sample, Task
from bottomup.visualize import contact_sheet, draw_heatmap, draw_ignore, draw_people, draw_tags, save_png

_IMAGES = 4


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Draw the first training samples as the network gets them."""
    output = output_folder(config, "show_targets")
    dataset = dataset_of(config, "train", config["limit"] or _IMAGES)
    model, _ = compose_model(config, dataset.task)
    training = training_set(config, dataset, model, extra=frozenset({"instances"}))
    samples = [training[(epoch, index)] for index in range(len(dataset)) for epoch in range(2)]
    save_png(output / "pictures" / "people.png", contact_sheet([_people(sample, dataset.task) for sample in samples], columns=4))
    save_png(
        output / "pictures" / "ignored.png",
        contact_sheet([draw_ignore(s.image, s.ignore, s.instances) for s in samples], columns=4),
    )
    ideal = model.ideal(collate(samples), list(model.heads))
    for row, sample in enumerate(samples):
        for name, picture in _maps(sample, {key: maps[row] for key, maps in ideal.items()}, model.grids, dataset.task).items():
            save_png(output / "pictures" / f"{row}_{name}.png", picture)
    print(f"{len(samples)} samples: {output}/pictures")
    return {}


def _people(sample: Sample, task: Task) -> NDArray[np.uint8]:
    assert task.skeleton is not None
    return draw_people(sample.image, sample.people, task.skeleton)


def _maps(sample: Sample, ideal: dict[str, torch.Tensor], grids: dict[str, Any], task: Task) -> dict[str, Any]:
    drawn = {}
    assert task.skeleton is not None
    if "heatmap" in ideal:
        drawn["heatmap"] = draw_heatmap(sample.image, ideal["heatmap"], grids["heatmap"], task.skeleton)
    if "heatmap" in ideal and "tags" in ideal:
        drawn["tags"] = draw_tags(sample.image, ideal["tags"], ideal["heatmap"], grids["tags"], task.skeleton)
    return drawn
