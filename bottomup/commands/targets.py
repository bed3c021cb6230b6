"""``bottomup show_targets``: augmented images with people, ignore maps and every head's ideal maps, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.plan.training import train_plan
from bottomup.samples.loader import collate
from bottomup.visualize import contact_sheet, draw_ignore, draw_outputs, draw_people, save_png
from bottomup.workflows.samples import training_set

_IMAGES = 4


def run(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Draw the first training samples as the network gets them."""
    plan = train_plan(overrides)
    output = plan.place.folder("show_targets")
    dataset = plan.data.dataset("train", plan.limit or _IMAGES)
    model, _ = plan.model.compose(dataset.task)
    skeleton = dataset.task.skeleton
    training = training_set(plan, dataset, model, extra=frozenset({"instances"}))
    samples = [training[(epoch, index)] for index in range(len(dataset)) for epoch in range(2)]
    people = [draw_people(sample.pixels, sample.people, skeleton) for sample in samples]
    ignored = [draw_ignore(sample.pixels, sample.ignore, sample.instances) for sample in samples]
    save_png(output / "pictures" / "people.png", contact_sheet(people, columns=4))
    save_png(output / "pictures" / "ignored.png", contact_sheet(ignored, columns=4))
    for row, sample in enumerate(samples):
        batch = collate([sample])
        ideal, frame = model.ideal(batch, list(model.heads)), model.frame(batch)
        for name, picture in draw_outputs(sample.pixels, ideal, frame, skeleton, dataset.task.categories).items():
            save_png(output / "pictures" / f"{row}_{name}.png", picture)
    print(f"{len(samples)} samples: {output}/pictures")
    return {}
