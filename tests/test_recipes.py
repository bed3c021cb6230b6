"""The papers' recipes: every published number is in the experiment that is named after it, and each of them trains."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bottomup.checkpoint import load_checkpoint
from bottomup.commands.train import run
from bottomup.data.voc import CATEGORIES
from bottomup.plan.composing import load_config
from bottomup.plan.files import shipped
from tests import coco_folders, voc_folders

METHODS = ("associative_embedding", "associative_embedding_segmentation", "higherhrnet", "personlab")
RECIPES = [name for name in shipped("experiment") if name.split("/")[0] in METHODS]
HOURGLASS = ("associative_embedding/coco", "associative_embedding/coco_paper", "associative_embedding/mpii")
MASKS = tuple(name for name in RECIPES if name.startswith("associative_embedding_segmentation/"))
PERSONLAB = tuple(f"personlab/{name}" for name in ("resnet101", "resnet101_paper", "resnet152", "resnet152_paper"))


class Number(NamedTuple):
    """One number of §4: which recipes have it, where in their configuration, and the words of the paper."""

    recipes: tuple[str, ...]
    key: str
    value: object
    words: str


POSES, TAGS, LAB = "associative_embedding", "associative_embedding", "personlab"
NUMBERS = {
    "associative_embedding": (
        Number(HOURGLASS, "backbone.stacks", 4, "four stacked hourglass modules"),
        Number(HOURGLASS, "input_size", 512, "with an input size of 512×512"),
        Number(HOURGLASS, "engine.batch_size", 32, "a batch size of 32 with a learning rate of $2e-4$"),
        Number(HOURGLASS, "engine.optimiser.lr", 2e-4, "a batch size of 32 with a learning rate of $2e-4$"),
        Number(HOURGLASS, "engine.schedule.milestones", [100000], "(dropped to $1e-5$ after 100k iterations)"),
        Number(HOURGLASS, "engine.schedule.gamma", 1e-5 / 2e-4, "(dropped to $1e-5$ after 100k iterations)"),
        Number(HOURGLASS, "heads.tags.weight", {"pull": 1e-3, "push": 1e-3}, "weighted by a factor of $1e-3$"),
        Number(HOURGLASS, "heads.tags.dim", 1, "throughout this paper we assume 1D embeddings"),
        Number(("associative_embedding/coco_paper",), "heads.heatmap.ignore", ["crowd"], "The loss is masked to ignore crowds"),
        Number(("associative_embedding/coco_paper",), "heads.tags.pull", "sum", r"\sum_n \sum_k (\bar{h}_n - h_k(x_{nk}))^2"),
        Number(MASKS, "input_size", 256, "with an input resolution of 256×256 and output resolution of 64×64"),
        Number(MASKS, "heads.instance_tags.weight", {"pull": 1e-4, "push": 1e-4}, "embedding loss is lowered to 1e-4"),
        Number(MASKS, "heads.instance_tags.reduction", "sum", r"\sum_n \sum_{x \in S_n} \sum_{x' \in S_n} (h(x) - h(x'))^2"),
        Number(MASKS, "heads.segmentation.criterion", "mse", "The loss is the mean squared error between the two heatmaps"),
    ),
    "personlab": (
        Number(PERSONLAB, "input_size", 801, "box to an 801x801 image"),
        Number(PERSONLAB, "augment.scale", [0.5, 1.5], "uniform random scale factor between 0.5 and 1.5"),
        Number(PERSONLAB, "augment.flip", 0.5, "left-right flip it with probability 0.5"),
        Number(PERSONLAB, "engine.batch_size", 8, "a batch size of 8 images distributed across 8"),
        Number(PERSONLAB, "engine.steps", 1_000_000, "synchronous training for 1M steps"),
        Number(PERSONLAB, "engine.optimiser", {"name": "sgd", "lr": 1e-3, "momentum": 0.9}, "momentum value set to 0.9"),
        Number(PERSONLAB, "engine.schedule.name", "constant", "constant learning rate equal to 1e-3"),
        Number(PERSONLAB, "engine.average.name", "polyak", "Polyak-Ruppert model parameter averaging"),
        Number(PERSONLAB, "backbone.frozen_batch_norm", True, "fix the statistics of the ResNet activations"),
        Number(PERSONLAB, "backbone.output_stride", 16, "we reduce it to 16 during training and 8 during evaluation"),
        Number(PERSONLAB, "backbone.auxiliary", True, "activations from a layer in the middle of the network"),
        *(
            Number(PERSONLAB, f"heads.{head}.weight", weight, "weights equal to (4, 2, 1, 1/4, 1/8)")
            for head, weight in zip(
                ("heatmap", "segmentation", "short_offsets", "mid_offsets", "long_offsets"), (4, 2, 1, 1 / 4, 1 / 8), strict=True
            )
        ),
        *(
            Number(PERSONLAB, f"heads.{head}.radius", 32.0, "the radius R = 32 pixels")
            for head in ("heatmap", "short_offsets", "mid_offsets", "long_offsets")
        ),
        Number(PERSONLAB, "heads.mid_offsets.refine", 2, "We repeat this refinement step twice"),
        Number(PERSONLAB, "heads.long_offsets.refine", 2, "recurrently refine the long-range offsets, twice"),
        Number(PERSONLAB, "decoder.voting.detection_threshold", 0.01, "(set to 0.01 in all reported experiments)"),
        Number(PERSONLAB, "decoder.suppression.radius", 10.0, "a non-maximum suppression radius of r=10 pixels"),
        Number(PERSONLAB, "decoder.masks.threshold", 0.5, r"semantic segmentation probability $p_S(x_i) \geq 0.5$"),
        Number(PERSONLAB, "decoder.masks.distance", 0.25, "the relative distance threshold t = 0.25"),
        Number(PERSONLAB, "decoder.max_people", 20, "a maximum of 20 person proposals per image"),
        Number(PERSONLAB[:2], "backbone.network", "resnet101", "either ResNet-101 or ResNet-152"),
        Number(PERSONLAB[2:], "backbone.network", "resnet152", "either ResNet-101 or ResNet-152"),
        Number(PERSONLAB, "data.train_split", "train2017", "images that contain people (64115 images)"),
        Number((PERSONLAB[1], PERSONLAB[3]), "decoder.voting.stride", 1, "Each image position casts a vote"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "number"),
    [(recipe, number) for numbers in NUMBERS.values() for number in numbers for recipe in number.recipes],
    ids=lambda value: value if isinstance(value, str) else value.key,
)
def test_a_recipe_has_the_number_of_its_paper(recipe: str, number: Number) -> None:
    found = value_at(composed(recipe), number.key)
    if isinstance(number.value, dict):
        assert {key: found[key] for key in number.value} == number.value
    else:
        assert found == pytest.approx(number.value) if isinstance(number.value, float) else found == number.value


@pytest.mark.parametrize("paper", NUMBERS)
def test_the_words_stand_in_the_paper(paper: str, shared: Path) -> None:
    text = shared / "papers" / f"{paper}.txt"
    if not text.is_file():
        pytest.skip(f"no text of the paper at {text}")
    printed = " ".join(text.read_text().split())
    assert not [number.words for number in NUMBERS[paper] if " ".join(number.words.split()) not in printed]


@cache
def composed(recipe: str) -> dict[str, Any]:
    return load_config("train", [f"experiment={recipe}"])


def value_at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


# ---- each trains ---------------------------------------------------------------------------------------------------------

CHEAP = {  # what a CPU cannot do in seconds: the size of images, batches and networks, not what is trained nor how
    "hourglass": ["backbone.channels=8", "backbone.growth=4"],
    "dilated": ["backbone.network=test_resnet", "backbone.pretrained=false"],
    "hrnet": ["backbone.pretrained=false", "backbone.network=hrnet_w18_small"],
    "mobilenet_v1": [],
}


def coco(root: Path) -> None:
    """COCO's folder: the same images as people's keypoints and as objects, of the splits that recipes name."""
    data = coco_folders.content(with_mask, people=2)
    coco_folders.write(root, data)
    for name, old in (("train2017", "train"), ("val2017", "val")):
        (root / name).symlink_to(root / old)
        (root / "annotations" / f"person_keypoints_{name}.json").write_text(json.dumps(data))
        kinds = load_config("train", ["data=coco_voc"])["data"]["category"]
        masks = [{key: value for key, value in one.items() if "keypoints" not in key} for one in data["annotations"]]
        objects = data | {"annotations": masks, "categories": [{"id": n, "name": kind} for n, kind in enumerate(kinds, 1)]}
        (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(objects))


def with_mask(person: dict[str, Any]) -> dict[str, Any]:
    x, y, width, height = person["bbox"]
    return person | {"segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]]}


def mpii(root: Path) -> None:
    """MPII's folder as peers write it."""
    for folder in ("images", "annot"):
        (root / folder).mkdir(parents=True)
    joints = [[20.0 + 5 * (k % 4), 20.0 + 25 * (k // 4)] for k in range(16)]
    person = {"joints": joints, "joints_vis": [1] * 16, "center": [60, 70], "scale": 0.6}
    people = [person | {"image": name} for name in ("1.png", "2.png")]
    for name in ("1.png", "2.png"):
        coco_folders.save_grey(root / "images" / name)
    for split in ("train", "valid"):
        (root / "annot" / f"{split}.json").write_text(json.dumps(people))


def voc(root: Path) -> None:
    """VOC's folder: a person and a dog."""
    inside = np.zeros((2, 96, 128), bool)
    inside[0, 20:80, 10:50], inside[1, 30:90, 70:120] = True, True
    objects = [(inside[0], CATEGORIES.index("person") + 1), (inside[1], CATEGORIES.index("dog") + 1)]
    for split in ("train", "val"):
        images = {name: (np.full((96, 128, 3), 90, np.uint8), objects) for name in ("2007_000001", "2007_000002")}
        voc_folders.write(root, images, split)


FOLDERS: dict[str, Callable[[Path], None]] = {"coco": coco, "mpii": mpii, "voc": voc}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_trains_a_step_and_is_judged(recipe: str, tmp_path: Path) -> None:
    config = composed(recipe)
    FOLDERS[config["data"]["name"]](tmp_path / "data")
    side = 65 if config["input_size"] % 2 else 64
    size = [f"input_size={side}", "engine.batch_size=2", "engine.steps=1", "engine.validate_every=1", "engine.precision=fp32"]
    place = ["workers=0", "device=cpu", "engine.tensorboard=false", "validation.limit=1", f"output={tmp_path}/run"]
    small = CHEAP[config["backbone"]["name"]]
    metrics = run([f"experiment={recipe}", f"data.root={tmp_path}/data", *size, *place, *small])
    assert np.isfinite(metrics["loss"]) and config["engine"]["best"] in metrics
    training = load_checkpoint(tmp_path / "run" / "last.pt").training
    assert training is not None and training["progress"]["step"] == 1
