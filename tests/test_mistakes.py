"""Typical mistakes at the command line and in Python: each is told in one sentence that holds the remedy."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bottomup import Predictor, Skeleton, load
from bottomup.checkpoint import load_checkpoint, save_checkpoint
from bottomup.cli import main
from bottomup.devices import device_of
from bottomup.engine.settings import Settings
from bottomup.errors import BottomupError
from bottomup.plan.component import Component
from bottomup.plan.data import DataPlan
from bottomup.plan.model import HeadPlan, ModelPlan
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.coco_folders import untrained, write_folder

SENTENCE = 420  # characters of a message at most

AT_THE_COMMAND_LINE = {  # what was typed, in which {here} is a folder of things: what the one line says
    # commands
    "trian": "did you mean 'train'?",
    "list headz": "did you mean 'heads'?",
    "import-weights onnx a.json output={here}/new": "known: tfjs",
    # keys
    "train batch_size=4": "did you mean engine.batch_size?",
    "train +batch_size=4": "did you mean engine.batch_size?",
    "train input_sise=256": "did you mean input_size?",
    "train engine.step=3": "did you mean engine.steps?",
    "train engine.optimiser.lrr=3": "did you mean engine.optimiser.lr?",
    "train heads.heatmap.sigam=3": "did you mean heads.heatmap.sigma?",
    "train validation.limt=3": "did you mean validation.limit?",
    "train data.imagez=3": "did you mean data.images?",
    "train augment.rotat=3": "did you mean augment.rotate?",
    "train engin.steps=3": "did you mean engine.steps?",
    "train epochs=10": "did you mean engine.steps?",
    "train --lr=0.1": "did you mean engine.optimiser.lr? Keys are written without dashes",
    "train weights={here}/weights/best.pt": "did you mean init?",
    "evaluate engine.precision=bf16": "did you mean precision?",
    "predict conf=0.5": "did you mean score_threshold?",
    "evaluate weights={here}/weights/best.pt decoder.windw=3": "did you mean decoder.window?",
    "evaluate weights={here}/weights/best.pt data.limit=3": "did you mean limit?",
    "evaluate weights={here}/weights/best.pt data=coco data.limit=3": "did you mean limit?",
    "doctor data=coco data.limt=3": "did you mean limit?",
    "train data.foo=3": "data=synthetic has curriculum, ",
    "evaluate weights={here}/weights/best.pt heads.prn.weights=int8": "no head of this model named 'prn' (known: heatmap, tags)",
    "predict weights={here}/weights/best.pt images={here}/photos heads.prn.weights=int8": "no head of this model named 'prn'",
    "train heads.prn.weights=int8": (
        "no head of this model named 'prn' (known: heatmap, tags); a mapping adds one, as heads.prn={name: HEAD}"
    ),
    # values
    "train method=personlabs": "did you mean method=personlab?",
    "train backbone=hourglas": "did you mean backbone=hourglass?",
    "train hydra.searchpath=[nowhere] experiment=mice": "there is no folder 'nowhere'",
    "list configs hydra.searchpath=[nowhere]": "there is no folder 'nowhere'",
    "train experiment=demo/personlabs": "did you mean experiment=demo/personlab?",
    "train engine.optimiser.name=adamm": "did you mean 'adam'?",
    "train engine.steps=many": "engine.steps should be a whole number from 1 on, got 'many'",
    "train seed=1,2": "bottomup benchmark tries one by one",
    "train data.train_split=train[100:]": "is quoted twice",
    "train input_size": "expected KEY=VALUE",
    "train stages.*.engine.steps=3": "a key is names with dots",
    "train engine.optimiser.momentum=0.9 data=none": "engine.optimiser has amsgrad, betas",
    # what does not go together
    "train experiment=demo/associative_embedding method=personlab": "give demo/personlab",
    "train decoder=personlab data=synthetic": "heads 'mid_offsets', 'short_offsets' provide",
    "evaluate weights={here}/weights/best.pt method=personlab": "leave the method out",
    "evaluate weights={here}/weights/best.pt oracle=[heatmaps] data=synthetic": "did you mean 'heatmap'?",
    "evaluate weights={here}/weights/best.pt backbone.channels=16 data=synthetic": "leave out what differs",
    "evaluate weights={here}/weights/best.pt data=coco data.root={here}/animals": "map these onto those: data=concat",
    "evaluate weights={here}/weights/best.pt data=coco data.root={here}/drawn data.images={here}/empty workers=0": (
        "set the data set's `images` (data.images=) to the folder"
    ),
    "train device=tpu": "device is cpu or cuda",
    # files and folders
    "train data=coco": "needs `root` (data.root=), the folder with",
    "train data=coco data.root={here}/nowhere": "{here}/nowhere",
    "train data=none": "data=coco data.root=FOLDER",
    "train data=synthetic output={here}/photos": "holds something else than a training run, such as a.png; give another output=",
    "train data=synthetic output={here}/run": "start it anew by overwrite=true, or give another output=",
    "train data=synthetic output={here}/file": "give another output=",
    "train resume=true": "needs output=",
    "train resume=true output={here}/empty": "give the output= folder of the interrupted run",
    "train resume=true output={here}/run": "start it anew by overwrite=true",
    "evaluate": "weights= is missing: give a checkpoint",
    "evaluate weights={here}/nowhere.pt": "give the .pt file of a training run",
    "evaluate weights={here}/foreign.pt": "backbone.weights=FILE",
    "evaluate weights={here}/moved.pt": "give data.root= where they lie now",
    "evaluate weights={here}/weights/best.pt data=synthetic output={here}/run": "as {here}/run/evaluate",
    "predict weights={here}/weights/best.pt": "images= is missing",
    "predict images={here}/photos": "weights= is missing",
    "predict images={here}/empty weights={here}/weights/best.pt": "{here}/empty",
    "predict images={here}/none.jpg weights={here}/weights/best.pt": "{here}/none.jpg",
    "predict images={here}/file weights={here}/weights/best.pt output={here}/other": "Replace or remove",
    "predict images={here}/photos weights={here}/weights/best.pt output={here}/found": "by overwrite=true",
    "report results={here}/nowhere": "{here}/nowhere",
    "benchmark matrix=smal": "did you mean 'small'?",
    "combine method=multiposenet": "init= or output= is missing",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what mistakes are made with."""
    place = tmp_path_factory.mktemp("here")
    untrained(place / "weights")
    write_folder(place / "animals", names=["nose", "tail"])
    write_folder(place / "drawn")
    for name in ("photos", "empty", "run", "found"):
        (place / name).mkdir()
    for name in ("file", "photos/a.png", "run/log.jsonl", "found/predictions.json"):
        (place / name).touch()
    torch.save({"weight": torch.zeros(1)}, place / "foreign.pt")
    checkpoint = load_checkpoint(place / "weights" / "best.pt")
    data = {"name": "coco", "root": str(place / "moved")}
    save_checkpoint(place / "moved.pt", replace(checkpoint, config=checkpoint.config | {"data": data}))
    return place


@pytest.mark.parametrize("typed", AT_THE_COMMAND_LINE)
def test_a_mistake_at_the_command_line_is_one_sentence_with_the_remedy(
    typed: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(typed.replace("{here}", str(here)))
    assert main(arguments) in (1, 2)
    *_, line = capsys.readouterr().err.strip().splitlines()
    print(line)
    words = AT_THE_COMMAND_LINE[typed].replace("{here}", str(here))
    assert line.startswith(f"bottomup {arguments[0]}: ") and words in line
    assert len(line.replace(str(here), "")) < SENTENCE and "Traceback" not in line


IN_PYTHON: dict[str, tuple[Callable[[Path], object], str]] = {
    "a checkpoint that is not there": (
        lambda here: load("associative_embedding", weights=here / "none.pt"),
        "give the .pt file of a training run",
    ),
    "another method's checkpoint": (
        lambda here: load("personlab", weights=here / "weights" / "best.pt"),
        "leave the method out",
    ),
    "a misspelt override": (
        lambda here: load("associative_embedding", weights=here / "weights" / "best.pt", overrides=["decoder.windw=3"]),
        "did you mean decoder.window?",
    ),
    "a misspelt head": (
        lambda _: ModelPlan(heads={"heatmapp": HeadPlan(Component("heatmapp"), {})}, decoder=Component("prn")).compose(Task(COCO)),
        "did you mean 'heatmap'?",
    ),
    "a misspelt option": (
        lambda _: ModelPlan(backbone=Component("hourglass", {"stack": 1}), decoder=Component("prn")).compose(Task(COCO)),
        "did you mean 'stacks'?",
    ),
    "a model without a decoder": (lambda _: ModelPlan().compose(Task(COCO)), "known decoders:"),
    "a misspelt setting": (lambda _: Settings.of({"steps": 1, "batchsize": 2}), "did you mean 'batch_size'?"),
    "a step that does not divide": (lambda _: Settings(steps=1, batch_size=3).micro_batch(2), "does not divide into 2 ranks"),
    "no data": (lambda _: DataPlan().dataset("val"), "data=coco data.root=FOLDER"),
    "a folder that is not there": (
        lambda here: DataPlan(name="coco", options={"root": str(here / "none")}).dataset("val"),
        "none",
    ),
    "an edge that is no keypoint's": (
        lambda _: Skeleton("pair", ("a", "b"), (), (("a", "c"),), (0.1, 0.1)),
        "'c'",
    ),
}


@pytest.mark.parametrize("mistake", IN_PYTHON)
def test_a_mistake_in_python_is_one_sentence_with_the_remedy(mistake: str, here: Path) -> None:
    make, words = IN_PYTHON[mistake]
    with pytest.raises(BottomupError) as error:
        make(here)
    print(error.value)
    assert words in str(error.value) and len(str(error.value).replace(str(here), "")) < SENTENCE
    assert "\n" not in str(error.value)


PHOTO = np.zeros((8, 9, 3), np.uint8)

NO_IMAGES: dict[str, tuple[object, str]] = {  # what a predictor is given, and the remedy
    "nothing": (None, "got NoneType; give such"),
    "a number": (3, "got int; give such"),
    "a list of numbers": ([3], "got int; convert it"),
    "floats up to 1": (PHOTO / 255, "scale it to 0-255 by (image * 255).astype(np.uint8)"),
    "floats up to 255": (PHOTO + 200.0, "scale it to 0-255 by (image).astype(np.uint8)"),
    "a fourth channel": (np.zeros((8, 9, 4), np.uint8), "image[..., :3]"),
    "channels first": (np.zeros((3, 8, 9), np.uint8), "image.transpose(1, 2, 0)"),
    "channels first, floats": (np.zeros((3, 8, 9), np.float32), "image.transpose(1, 2, 0) and scale it"),
    "grey": (np.zeros((8, 9), np.uint8), "np.stack([image.squeeze()] * 3, -1)"),
    "a stack": (np.zeros((2, 8, 9, 3), np.uint8), "[*images]"),
    "a tensor": (torch.zeros(3, 8, 9), "image.permute(1, 2, 0).numpy()"),
    "tensors": ([torch.zeros(3, 8, 9)], "image.permute(1, 2, 0).numpy()"),
    "a path that is not there": ("{here}/none.jpg", "no such image"),
    "a video that is not there": ("{here}/none.mp4", "none.mp4: no such file"),
    "a folder without images": ("{here}/empty", "no such image, folder or glob with images"),
    "a folder in a list": (["{here}/photos"], "a folder"),
}


@pytest.fixture(scope="module")
def predictor(here: Path) -> Predictor:
    return load(here / "weights" / "best.pt")


@pytest.mark.parametrize("given", NO_IMAGES)
def test_what_is_no_image_is_told_with_what_to_do(given: str, predictor: Predictor, here: Path) -> None:
    images, words = NO_IMAGES[given]
    if isinstance(images, str):
        images = images.replace("{here}", str(here))
    elif given == "a folder in a list":
        images = [str(here / "photos")]
    with pytest.raises(BottomupError) as error:
        predictor(images)  # type: ignore[call-overload]
    print(error.value)
    assert words in str(error.value) and len(str(error.value).replace(str(here), "")) < SENTENCE
    assert "\n" not in str(error.value)


def test_a_generator_and_an_empty_list_are_several_images(predictor: Predictor) -> None:
    assert predictor([]) == []
    assert [found.size for found in predictor(PHOTO[: 8 - n] for n in range(3))] == [(8, 9), (7, 9), (6, 9)]


@pytest.mark.parametrize("device", ["gpu", "cudaa", 3.5])
def test_a_device_that_is_none_is_refused(device: str, here: Path) -> None:
    with pytest.raises(BottomupError, match="device"):
        load(here / "weights" / "best.pt", device=device)


def test_a_missing_gpu_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", "device=cuda"]) == 1
    assert "use device=cpu" in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(BottomupError, match="use device=cpu"):
        device_of("cuda:1")


def test_a_misspelt_view_is_told_with_those_that_there_are(here: Path) -> None:
    with pytest.raises(BottomupError, match="maps"):
        Predictor(*ModelPlan.of(load_checkpoint(here / "weights" / "best.pt").config).compose(Task(COCO)), views="map")  # type: ignore[arg-type]
