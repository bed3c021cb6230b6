"""Every configuration composes into a model that trains, and whatever does not fit is one readable sentence."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bottomup.cli import COMMANDS, main
from bottomup.engine.objective import compute_losses
from bottomup.errors import BottomupError, ConfigError
from bottomup.plan.composing import load_config
from bottomup.plan.data import DataPlan
from bottomup.plan.files import available, config_folder, shipped
from bottomup.plan.model import ModelPlan
from bottomup.plan.schema import Configuration
from bottomup.plan.training import train_plan
from bottomup.samples.letterbox import letterbox
from bottomup.skeletons import COCO
from bottomup.types import Task
from bottomup.workflows.samples import training_set
from tests.scenes import make_batch

ROOT = Path(__file__).parents[1]
TINY = ["backbone=hourglass_tiny"]


def small(method: str) -> list[str]:
    """A small backbone for a method: one with a pyramid where its necks need that."""
    necks = {neck.get("name", name) for name, neck in load_config("train", [f"method={method}"])["necks"].items()}
    return ["backbone=mobilenetv2_fpn"] if necks & {"fpn", "keypoint_pyramid"} else TINY


THIN = {  # options that say how large a backbone or a neck is, and nothing of how it is wired
    "hourglass": {"channels": 8, "growth": 4},
    "hrnet": {"network": "hrnet_w18_small", "width": 4},
    "dilated": {"network": "test_resnet"},
    "pyramid": {"network": "test_resnet"},
    "fpn": {"channels": 8},
    "keypoint_pyramid": {"channels": 8, "reduced": 8},
}


def thin(part: dict[str, Any], name: str = "") -> dict[str, Any]:
    """The same part of few and narrow layers; MobileNetV2, whose blocks are frozen by their names, as it is."""
    kept = {key: value for key, value in part.items() if key != "pretrained"}  # nothing is fetched here
    return kept if "mobilenet" in kept.get("network", "") else kept | THIN.get(kept.get("name", name), {})


@pytest.mark.parametrize(
    "overrides",
    [
        *([f"experiment={name}"] for name in shipped("experiment")),
        *([f"method={name}", *small(name)] for name in available()),
        ["backbone=mobilenetv2_fpn"],
        ["method=multiposenet", "backbone=dilated_resnet50", "backbone.levels=[2,5]"],
    ],
    ids=" ".join,
)
def test_every_trainable_parameter_gets_a_gradient_in_the_first_step(overrides: list[str]) -> None:
    """Made thin, for how parts are wired is the question; the next test has each backbone as large as it is."""
    config = load_config("train", overrides)
    config["necks"] = {name: thin(neck or {}, name) for name, neck in config["necks"].items()}
    if config.get("backbone"):
        config["backbone"] = thin(config["backbone"])
    model, _ = ModelPlan.of(config).compose(Task(COCO))
    side = model.side(64)
    batch = make_batch([2, 1], (side, side))
    given = model.teaching(batch, config["given"])
    compute_losses(model, model(batch.images, given=given, stages="all"), batch).total.mean().backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


@pytest.mark.parametrize("name", [name for name in shipped("backbone") if name != "hourglass"])
def test_the_same_method_runs_on_every_backbone(name: str) -> None:
    model, decoder = ModelPlan.of(load_config("train", [f"backbone={name}"])).compose(Task(COCO))
    side = model.side(64)
    batch = make_batch([1], (side, side))
    outputs = model.eval()(batch.images)[0]
    assert outputs.keys() == {"heatmap", "tags"}
    assert len(decoder(outputs, model.frame(batch))) == 1


def test_a_side_fits_the_heads_in_use_alone() -> None:
    """MultiPoseNet's keypoints train at 480 px, §4.1; only its boxes' coarsest level needs multiples of 128."""
    sides = {}
    for stage in ("multiposenet/keypoints", "multiposenet/boxes"):
        overrides = [f"experiment={stage}", "backbone=mobilenetv2_fpn", "backbone.pretrained=false"]
        model, _ = ModelPlan.of(load_config("train", overrides)).compose(Task(COCO))
        sides[stage] = (model.side(480, "all"), model.side(480))
    assert sides == {"multiposenet/keypoints": (480, 512), "multiposenet/boxes": (512, 512)}


def test_modules_within_a_part_are_frozen() -> None:
    model, _ = ModelPlan.of(load_config("train", [*TINY, "freeze=[backbone.stem]"])).compose(Task(COCO))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained and not any(name.startswith("backbone.stem") for name in trained)
    assert any(name.startswith("backbone.hourglasses") for name in trained)
    assert not model.train().get_submodule("backbone.stem").training


FAULTS = {
    "a misspelt backbone": (["backbone=hourglas"], "did you mean backbone=hourglass"),
    "a misspelt option": (["backbone.stackz=2"], "did you mean backbone.stacks?"),
    "a misspelt head option": (["heads.heatmap.sigm=2"], "did you mean heads.heatmap.sigma?"),
    "a misspelt decoder option": (["decoder.windw=5"], "did you mean decoder.window?"),
    "a misspelt key": (["input_sise=128"], "no key named 'input_sise'; did you mean input_size?"),
    "no override": (["input_size"], "expected KEY=VALUE"),
    "brackets without quotes": (["data.train_split=train[100:]"], """quoted twice: "data.train_split='train[100:]'\""""),
    "a decoder without its heads": (["~heads.tags"], "requires tags"),
    "a level that is not there": (["heads.heatmap.level=P9", "backbone=mobilenetv2_fpn"], "no level named 'P9'"),
    "a neck that is not there": (["heads.heatmap.neck=fpm"], "fpm"),
    "an unknown head": (["heads.heatmaps={}"], "did you mean 'heatmap'"),
    "an unknown network": (["backbone=resnet50_fpn", "backbone.network=resnet5O"], "resnet50"),
    "an unknown part to freeze": (["freeze=[backbon]"], "did you mean 'backbone'"),
    "an unknown module to freeze": (["freeze=[backbone.stemm]"], "did you mean 'backbone.stem'"),
    "a missing weights file": (["backbone=resnet50_fpn", "backbone.weights=nowhere.pt"], "nowhere.pt"),
    "a method that is not there": (["method=personlabs"], "personlabs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_refused_in_one_sentence(fault: str) -> None:
    overrides, words = FAULTS[fault]
    with pytest.raises(BottomupError) as error:
        ModelPlan.of(load_config("train", [*([] if any("backbone=" in o for o in overrides) else TINY), *overrides])).compose(
            Task(COCO)
        )
    assert words in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "backbone=hourglas"], "hourglass"),
        (["evaluate", *TINY, "data.images=4"], "weights= is missing"),
        (["evaluate", "weights=none.pt"], "no such checkpoint"),
        (["predict", "weights=none.pt"], "images= is missing"),
        (["train", *TINY, "data=coco", "data.root=nowhere"], "nowhere"),
        (["train", *TINY, "engine.step=3"], "did you mean engine.steps?"),
        (["train", *TINY, "engine.optimiser.name=adamm"], "did you mean 'adam'"),
        (["train", *TINY, "augment.rotat=3"], "rotat"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_says_what_is_wrong_without_a_traceback(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = [f"output={tmp_path}"] if arguments[0] in COMMANDS else []
    assert main([*arguments, *output]) != 0
    printed = capsys.readouterr().err
    assert words in printed and "Traceback" not in printed


MISTAKES = {  # what was given: what the one line on the terminal says
    "heads.tags.weight.psh=5": "did you mean 'push'",
    "engine.optimiser.groups={backbone:{lr_scal:0.1}}": "did you mean 'lr_scale'",
    "engine.optimiser.betas=3": "engine.optimiser.betas should be",
    "engine.best=APX": "did you mean 'AP'",
    "engine.average={name:ema,decy:0.5}": "did you mean engine.average.decay?",
    "engine.schedule={name:step,milestones:3}": "engine.schedule.milestones should be a list",
    "engine.steps=abc": "engine.steps should be a whole number",
    "engine.steps=0": "engine.steps should be a whole number from 1 on",
    "scales=2": "scales should be a list of numbers",
    "scales=[a]": "scales should be a list of numbers",
    "data.image_ids=5": "data.image_ids should be a list",
    "data.max_people=abc": "data.max_people should be a whole number",
    "data.train_splt=val": "did you mean data.train_split?",
    "input_size=abc": "input_size should be a whole number",
    "limit=-1": "limit should be a whole number from 1 on",
    "seed=-1": "seed should be a whole number from 0 on",
    "trained=heatmap": "trained should be a list",
    "validation.limit=some": "validation.limit should be",
    "backbone.stacks=abc": "backbone.stacks should be a whole number",
    "backbone.neck=3": "backbone.neck should be a mapping",
    "backbone=3": "must be a string",
    "decoder=[1]": "a part is chosen by one name",
    "decoder=[[]]": "a part is chosen by one name",
    "heads.heatmap=3": "heads.heatmap should be a mapping",
    "heads.heatmap.sigma=abc": "heads.heatmap.sigma should be a number",
    "heads.heatmap.weight=abc": "heads.heatmap.weight should be a number",
    "decoder.detection_threshold=abc": "decoder.detection_threshold should be a number",
    "decoder.refine=quater": "did you mean 'quarter'",
    "augment.transforms=[HueSaturationValue]": "augment.transforms should be a list of mappings",
    "output={tmp}/file": "is no folder",
    "resume=true overwrite=true": "give one of them",
}


@pytest.mark.parametrize("given", MISTAKES)
def test_a_mistake_is_one_readable_line(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    options = given.replace("{tmp}", str(tmp_path)).split(" ")
    small = ["data=synthetic", "data.images=2", "data.size=64", "input_size=64", "workers=0"]
    train = [*TINY, "engine.steps=1", "engine.batch_size=2", "engine.tensorboard=false", "device=cpu"]
    command = ["evaluate", *small, "weights=none.pt"] if given.startswith("scales") else ["train", *small, *train]
    if given.startswith("data.image_ids"):
        command = ["train", *TINY, "data=coco"]
    folder = [] if given.startswith("output") else [f"output={tmp_path}/run"]
    assert main([*command, *folder, *options]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"bottomup {command[0]}: ") and MISTAKES[given] in line and len(line) < 600


@pytest.mark.parametrize("command", sorted({config for _, config in COMMANDS.values() if config} | {"benchmark"}))
def test_every_key_of_a_command_has_its_kind(command: str) -> None:
    assert load_config(command).keys() <= Configuration.__annotations__.keys()


def test_what_an_experiment_says_of_a_component_is_of_that_one_alone() -> None:
    demo = "experiment=demo/associative_embedding"
    own = load_config("train", [demo])["decoder"]
    assert own["name"] == "associative_embedding" and own["detection_threshold"] == 0.5
    assert load_config("train", [demo, "decoder=personlab"])["decoder"] == load_config("train", ["decoder=personlab"])["decoder"]
    typed = load_config("train", [demo, "decoder=prn", "decoder.window=9"])["decoder"]
    assert typed == {"name": "prn", "window": 9}


def test_a_file_that_is_chosen_counts_before_the_experiment() -> None:
    """Of the same component what the file leaves open stays as the experiment has it."""
    standard = "experiment=synthetic_standard/associative_embedding"
    backbone = load_config("train", [standard, "backbone=hourglass_tiny"])["backbone"]
    assert (backbone["channels"], backbone["stacks"], backbone["batch_norm"]) == (32, 2, True)
    paper = load_config("train", [standard, "decoder=associative_embedding_paper"])["decoder"]
    assert (paper["tag_threshold"], paper["detection_threshold"]) == (1.0, 0.1)


def test_another_data_set_has_none_of_the_experiments_options() -> None:
    data = load_config("train", ["experiment=demo/personlab", "data=coco", "data.root=here"])["data"]
    assert data["root"] == "here" and "height" not in data and "size" not in data
    with pytest.raises(ConfigError, match=r"did you mean data\.root\?"):
        DataPlan.of(load_config("train", ["data=coco", "data.rot=here"])["data"] | {"split": "train"}).dataset("val")


def test_an_experiment_is_of_one_method() -> None:
    with pytest.raises(ConfigError, match="demo/personlab"):
        load_config("train", ["experiment=demo/associative_embedding", "method=personlab"])
    with pytest.raises(ConfigError, match="did you mean experiment=demo/associative_embedding or"):
        load_config("train", ["experiment=demo"])


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=multiposenet", "backbone=mobilenetv2_fpn", "input_size=100", "augment=none"],
        ["experiment=multiposenet/boxes", "backbone=mobilenetv2_fpn", "augment.crop=false", "augment.flip=0"],
        ["method=personlab", "backbone=dilated_resnet10", "input_size=105", "augment=none"],
    ],
)
def test_training_sees_people_as_large_as_evaluation_does(overrides: list[str]) -> None:
    plan = train_plan([*overrides, "backbone.pretrained=false", "data=synthetic", "data.size=60"])
    dataset = plan.data.dataset("train", 1)
    model, _ = plan.model.compose(dataset.task)
    trained = training_set(plan, dataset, model)[(0, 0)].to_input
    size = plan.model.input_size
    side = partial(letterbox, side_length=size, accept=model.side, fill=(0, 0, 0), side=plan.model.side)
    np.testing.assert_allclose(trained[:, :2], side(dataset.sample(0, frozenset())).to_input[:, :2], rtol=1e-6, atol=1e-9)


def test_what_annotated_data_sets_have_in_common_is_said_once() -> None:
    """A value that a file repeats would stay behind when the common one changes; annotations and images have notes of their own."""
    folder = config_folder() / "data"
    common = yaml.safe_load((folder / "_annotated.yaml").read_text())
    files = {name: yaml.safe_load((folder / f"{name}.yaml").read_text()) or {} for name in shipped("data")}
    built = {name: own for name, own in files.items() if "_annotated" in own.get("defaults", ())}
    assert {"coco", "crowdpose", "halpe", "mpii", "posetrack18"} <= built.keys()
    for name, own in built.items():
        assert not [key for key in common.keys() & own.keys() - {"annotations", "images"} if common[key] == own[key]], name
        assert common.keys() <= load_config("train", [f"data={name}"])["data"].keys()
