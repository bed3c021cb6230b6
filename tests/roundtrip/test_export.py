"""A network with its decoder as a file finds the people that it finds itself, with PyTorch and without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bottomup
from bottomup.cli import main
from bottomup.contracts import DECODERS
from bottomup.errors import CheckpointError, ConfigError, DataError, OutputError
from bottomup.export.files import export
from bottomup.grouping.kinds import KINDS, grouping_of, plain_options
from bottomup.model import PoseModel
from bottomup.paths import check_writable
from bottomup.plan.model import ModelPlan
from bottomup.predictor import Predictor
from bottomup.skeletons import Skeleton
from bottomup.types import Frame, Task
from tests.pages import PAGES, blocks

pytest.importorskip("onnxscript", reason="format=onnx needs pip install 'bottomup[export]'")
pytest.importorskip("onnxruntime", reason="bottomup.runtime needs pip install 'bottomup[export]'")

from bottomup import runtime

STICK = Skeleton(
    name="stick",
    keypoints=("head", "left_hand", "right_hand"),
    flip_pairs=(("left_hand", "right_hand"),),
    edges=(("head", "left_hand"), ("head", "right_hand")),
    sigmas=(0.05, 0.06, 0.06),
)
STICKS = Task(STICK)
HOURGLASS = {"name": "hourglass", "stacks": 1, "levels": 1, "channels": 8, "growth": 4}
STRIDED = {"name": "mobilenet_v1", "depth": 0.1}
PYRAMID = {"name": "pyramid", "network": "test_resnet"}
FIELDS: dict[str, Any] = {"heatmap": {"criterion": "logistic"}, "short_offsets": {}, "mid_offsets": {}}
PROPOSING: dict[str, Any] = {
    "heatmap": {"neck": "keypoints"},
    "segmentation": {"neck": "keypoints", "criterion": "mse"},
    "retinanet": {"neck": "people", "level": "all"},
    "proposals": {"count": 6, "threshold": 0.0},
    "candidates": {"count": 4, "threshold": 0.0},
    "prn": {"hidden": [4]},
}
NECKS = {"keypoints": {"name": "keypoint_pyramid", "channels": 8}, "people": {"name": "fpn", "channels": 8}}
LOUD = 15.0
EVERYBODY = {"max_people": 3, "detection_threshold": 0.0}


@dataclass(frozen=True)
class Case:
    """A network of noise that finds a lot, and the sizes of the images that it sees."""

    config: dict[str, Any]
    task: Task = STICKS

    def checkpoint(self, folder: Path) -> Path:
        torch.manual_seed(0)
        plan = ModelPlan.of({"input_size": 128} | self.config)
        model, _ = plan.compose(self.task)
        if "retinanet" in model.heads:
            loud(model)
        return bottomup.save(folder / "noise.pt", plan, model.eval())


def loud(model: PoseModel) -> None:
    """Let boxes' scores differ: as they are drawn they begin alike to the last digit, and of ties each runtime takes its own."""
    with torch.no_grad():
        for module in model.stack("retinanet").modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(LOUD)


CASES = {
    "tags": Case(
        {
            "backbone": HOURGLASS,
            "heads": {"heatmap": {}, "tags": {"dim": 2}},
            "decoder": {"name": "associative_embedding", **EVERYBODY, "tag_threshold": 0.1},
        }
    ),
    "tags filled from the map": Case(
        {
            "backbone": HOURGLASS,
            "heads": {"heatmap": {}, "tags": {}},
            "decoder": {
                "name": "associative_embedding", "max_people": 3, "detection_threshold": 0.04, "tag_threshold": 0.1,
                "fill_threshold": 0.0, "fill_from": "map", "refine": "quarter", "stride": 2, "tags_between": "bilinear",
            },
        }
    ),
    "fields": Case(
        {
            "backbone": STRIDED,
            "heads": FIELDS | {"long_offsets": {}, "segmentation": {"criterion": "logistic"}},
            "decoder": {
                "name": "personlab", "max_people": 3, "refine": 1,
                "voting": {"max_peaks": 4, "detection_threshold": 0.0}, "masks": {"threshold": 0.4, "distance": 2.0},
            },
        }
    ),
    "fields of PoseNet": Case(
        {
            "backbone": STRIDED,
            "heads": FIELDS | {"mid_offsets": {"refine": 0}},
            "decoder": {"name": "posenet", "max_people": 3, "detection_threshold": 0.0, "max_peaks": 4},
        }
    ),
    "boxes": Case({"backbone": PYRAMID, "necks": NECKS, "heads": PROPOSING, "decoder": {"name": "prn"}}),
    "tags of masks": Case(
        {
            "backbone": HOURGLASS,
            "heads": {"segmentation": {"criterion": "logistic"}, "instance_tags": {}},
            "decoder": {"name": "tag_segmentation", "bin": 0.01, "smoothing": 0.02, "separation": 0.05, "smallest": 1},
        },
        Task(None, ("ball", "crate")),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """A checkpoint, the predictor of it, and the file that it was exported to."""

    checkpoint: Path
    predictor: Predictor
    file: Path

    def runner(self, **options: Any) -> runtime.Runner:
        return runtime.load(self.file, threads=1, score_threshold=0.0, **options)


QUICK = ("tags", "boxes")  # which hold what the others hold in parts; to translate a graph takes half a minute of a core


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CASES], ids=str
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = CASES[request.param].checkpoint(folder)
    assert main(["export", f"weights={checkpoint}", f"output={folder}/noise.onnx"]) == 0
    return Exported(checkpoint, bottomup.load(checkpoint, score_threshold=0.0), folder / "noise.onnx")


def photos() -> list[np.ndarray[Any, Any]]:
    """Images of noise of several shapes, two alike; coarse, so that a letterbox changes little."""
    random = np.random.default_rng(0)
    sizes = ((60, 100), (100, 70), (60, 100), (128, 128))
    return [random.integers(0, 256, (h // 4, w // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1) for h, w in sizes]


def test_a_file_finds_whom_its_network_finds(exported: Exported) -> None:
    ours, theirs = exported.predictor.predict(photos()), exported.runner(batch_size=2).predict(photos())
    assert sum(len(prediction.instances) for prediction in ours) > 3  # there is something to agree on
    for eager, found in zip(ours, theirs, strict=True):
        expected, arrays = eager.numpy(), found.numpy()
        assert expected.keys() == arrays.keys() and eager.size == found.size
        for name, values in expected.items():
            if name == "masks":
                assert (values != arrays[name]).mean() < 1e-3
            else:
                np.testing.assert_allclose(
                    arrays[name], values, atol=1e-2 if name in ("keypoints", "boxes") else 1e-4, err_msg=name
                )
        if eager.segmentation is not None:
            assert found.segmentation is not None
            np.testing.assert_allclose(found.segmentation, eager.segmentation.numpy(), atol=1e-4)


def test_a_file_says_what_it_gives(exported: Exported) -> None:
    contract, decoder = exported.runner().contract, exported.predictor.decoder
    assert contract.grouping == decoder.grouping and contract.grids == exported.predictor.model.grids
    assert contract.skeleton == exported.predictor.skeleton
    assert set(contract.outputs) <= type(contract.grouping).fields.keys()
    assert runtime.Contract.of_json(contract.to_json(), "file") == contract


def test_a_size_that_does_not_fit_is_told(exported: Exported) -> None:
    runner = exported.runner()
    with pytest.raises(DataError, match="does not fit the grids"):
        runner.decode(np.zeros((1, 3, 131, 200), np.uint8), np.zeros((1, 4), np.float32))
    with pytest.raises(DataError, match="B, 3, H, W"):
        runner.decode(np.zeros((1, 131, 200, 3), np.uint8), np.zeros((1, 4), np.float32))


# ---- a file by itself -------------------------------------------------------------------------------------------------------

_WITHOUT = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "timm", "PIL", "pycocotools", "hydra", "matplotlib"}:
            raise ModuleNotFoundError(f"no {name} here")
sys.meta_path.insert(0, Refusing())
import numpy as np
from bottomup import runtime
found = runtime.load(sys.argv[1])(np.full((60, 90, 3), 99, np.uint8))
print(found.size, len(found.instances), "torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("simple")
    checkpoint = CASES["tags"].checkpoint(folder)
    command = ["export", f"weights={checkpoint}", f"output={folder}", "sides=[64,96]", "decoder.max_people=2", "score_threshold=0"]
    assert main(command) == 0
    return Exported(checkpoint, bottomup.load(checkpoint, overrides=["decoder.max_people=2"]), folder / "model.onnx")


def test_a_file_runs_without_pytorch(simple: Exported) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(bottomup.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", _WITHOUT, str(simple.file)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(60, 90)") and done.stdout.strip().endswith("False")


def test_a_file_of_one_size_takes_photos_of_any(simple: Exported) -> None:
    runner = simple.runner()
    for prediction, photo in zip(runner.predict(photos()), photos(), strict=True):
        assert prediction.size == photo.shape[:2]
    with pytest.raises(DataError, match="64 x 96 px alone"):
        runner.decode(np.zeros((1, 3, 64, 64), np.uint8), np.zeros((1, 4), np.float32))


def test_a_program_of_pytorch_gives_the_same(simple: Exported, tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    assert main(["export", f"weights={simple.checkpoint}", f"output={file}", "format=torch", "sides=[64,96]"]) == 0
    extra = {"bottomup.json": ""}
    program = torch.export.load(file, extra_files=extra).module()
    images, content = torch.randint(0, 256, (3, 3, 64, 96), dtype=torch.uint8), torch.tensor([[0.0, 0.0, 90.0, 60.0]] * 3)
    record = runtime.Contract.of_json(extra["bottomup.json"], str(file))
    predictor = bottomup.load(simple.checkpoint)
    with torch.no_grad():
        given = program(images, content)
        outputs = predictor.model(images)[0]
        frame = Frame(predictor.model.grids, (64, 96), content)
        expected = predictor.decoder.tensors(outputs, frame)
    assert tuple(given) == record.outputs
    for name, values in expected.items():
        torch.testing.assert_close(given[name], values)


def test_the_page_s_code_runs(simple: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(simple.file, "people.onnx")
    Image.fromarray(photos()[0]).save("photo.jpg")
    space: dict[str, Any] = {}
    for block in blocks(PAGES["docs/export.md"], "python"):
        exec(compile(block, "docs/export.md", "exec"), space)
    assert len(space["found"]) == 2 and space["people"].keypoints.shape[1:] == (3, 2)


def test_the_page_names_every_field() -> None:
    for kind in KINDS.values():
        for name, field in kind.fields.items():
            assert f"| `{name}` | {field.axes} | {field.unit} | {field.what} |" in PAGES["docs/export.md"]


# ---- what cannot be ------------------------------------------------------------------------------------------------------------


def test_mistakes_are_told(simple: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = f"weights={simple.checkpoint}"
    taken = f"output={simple.file}"
    for command, said in (
        (["export"], "weights= is missing"),
        (["export", given, taken], "exists already"),
        (["export", given, f"output={tmp_path}", "format=onxx"], "onnx"),
        (["export", given, f"output={tmp_path}", "sides=[63,96]"], "the next that do are [64, 96]"),
    ):
        assert main(command) == 1
        assert said in capsys.readouterr().err


def test_several_views_are_refused(simple: Exported, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sees an image once"):
        export(bottomup.load(simple.checkpoint, flip=True), tmp_path / "model.onnx")


def test_foreign_files_are_told(simple: Exported, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    foreign, later, broken = (tmp_path / f"{name}.onnx" for name in ("foreign", "later", "broken"))

    def changed(file: Path, change: Callable[[dict[str, Any]], None] | None) -> None:
        proto = onnx.load(simple.file)
        record = json.loads(proto.metadata_props[0].value)
        del proto.metadata_props[:]
        if change is not None:
            change(record)
            onnx.helper.set_model_props(proto, {"bottomup": json.dumps(record)})
        onnx.save(proto, file)

    changed(foreign, None)
    changed(later, lambda record: record.update(format="bottomup graph 2"))
    broken.write_bytes(b"no graph")
    nowhere = tmp_path / "nowhere.onnx"
    told = {foreign: "without bottomup's metadata", later: "graph 2", broken: "cannot read it .*export", nowhere: "no such file"}
    for file, said in told.items():
        with pytest.raises(CheckpointError, match=said):
            runtime.load(file)


def broken(file: Path, folder: Path, **said: Any) -> Path:
    """A copy of a file whose metadata say something else."""
    import onnx

    model = onnx.load(str(file))
    (record,) = (entry for entry in model.metadata_props if entry.key == "bottomup")
    record.value = json.dumps(json.loads(record.value) | said)
    onnx.save(model, str(folder / "broken.onnx"))
    return folder / "broken.onnx"


@pytest.mark.parametrize(
    "said",
    [
        {"outputs": ["tags"]}, {"outputs": []}, {"input_size": "64"}, {"input_size": 10**7}, {"input_size": 0}, {"side": "longest"},
        {"fill": [1]}, {"fill": [300, 0, 0]}, {"fits": [{"stride": 0, "origin": 0}]}, {"sides": "ab"}, {"least": "x"},
        {"skeleton": None}, {"thresholds": {"score": "a"}}, {"maps": 7},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_file_says_of_itself_is_checked(simple: Exported, tmp_path: Path, said: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"broken\.onnx: .*; export it again"):
        runtime.load(broken(simple.file, tmp_path, **said))


def test_what_a_runner_does_not_take_is_told(simple: Exported) -> None:
    with pytest.raises(ConfigError, match="provider of this onnxruntime named 'Abacus'"):
        runtime.load(simple.file, providers=["Abacus"])
    with pytest.raises(DataError, match="got NoneType; give paths or arrays"):
        runtime.load(simple.file)(None)  # type: ignore[call-overload]


def test_a_place_that_nobody_may_write_is_told_before_the_network_is_traced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in ("/proc/x/people.onnx", tmp_path / "file" / "people.onnx"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_writable(path)
    check_writable(tmp_path / "new" / "deep" / "people.onnx")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_sequential_part_is_some_decoder_s_and_plain_data(kind: str) -> None:
    made = [DECODERS[case.config["decoder"]["name"]](case.task) for case in CASES.values()]
    (grouping, *_) = [decoder.grouping for decoder in made if type(decoder.grouping).__name__ == kind]
    assert grouping is not None
    options = json.loads(json.dumps(plain_options(grouping)))
    assert grouping_of(kind, options, STICK) == grouping
