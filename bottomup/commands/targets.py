"""``bottomup show_targets``: augmented images with people, ignore maps and every head's ideal maps, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bottomup.commands.setting import dataset_of, output_folder, training_set
from bottomup.compose import compose_model
from bottomup.data.loader import collate
from bottomup.visualize import contact_sheet, draw_ignore, draw_outputs, draw_people, save_png

_IMAGES = 4


def run(config: dict[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Draw the first training samples as the network gets them."""
    output = output_folder(config, "show_targets")
    dataset = dataset_of(config, "train", config["limit"] or _IMAGES)
    model, _ = compose_model(config, dataset.task)
    skeleton = dataset.task.skeleton
    assert skeleton is not None  # the model's heads need one
    training = training_set(config, dataset, model, extra=frozenset({"instances"}))
    samples = [training[(epoch, index)] for index in range(len(dataset)) for epoch in range(2)]
    people = [draw_people(sample.pixels, sample.people, skeleton) for sample in samples]
    ignored = [draw_ignore(sample.pixels, sample.ignore, sample.instances) for sample in samples]
    save_png(output / "pictures" / "people.png", contact_sheet(people, columns=4))
    save_png(output / "pictures" / "ignored.png", contact_sheet(ignored, columns=4))
    for row, sample in enumerate(samples):
        batch = collate([sample])
        ideal, frame = model.ideal(batch, list(model.heads)), model.frame(batch)
        for name, picture in draw_outputs(sample.pixels, ideal, frame, skeleton).items():
            save_png(output / "pictures" / f"{row}_{name}.png", picture)
    print(f"{len(samples)} samples: {output}/pictures")
    return {}
