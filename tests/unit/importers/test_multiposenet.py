"""MultiPoseNet.pytorch is imported as it computes: its keypoints are COCO's, its anchors and people ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from bottomup.checkpoint import load_checkpoint, save_checkpoint
from bottomup.cli import main
from bottomup.errors import CheckpointError
from bottomup.heads.prn import Prn
from bottomup.importers import multiposenet
from bottomup.importers.multiposenet import OPENPOSE, WITHOUT_NECK, import_multiposenet
from bottomup.importers.published import Published
from bottomup.skeletons import COCO
from tests.coco_folders import IMAGES, write_folder
from tests.unit.importers import published, test_prn
from tests.unit.importers.published import Reference, Tensors

TOLERANCE = 1e-4  # of an output's largest absolute value
NAMES = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
    "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
STAGES = ("k2", "k3", "k4", "k5", "keypoints")
UNUSED = [f"convfin_k{level}.{part}[1,18]" for level in (2, 3, 4, 5) for part in ("weight", "bias")]
UNUSED += ["convfin.weight[1]", "convfin.bias[1]"]  # the neck, and masks that were never trained


def write(file: Path, tensors: Mapping[str, Tensor], prefix: str = "") -> Path:
    """As its authors save: one dataset a tensor, and how often all images had been seen."""
    with h5py.File(file, "w") as opened:
        for name, tensor in tensors.items():
            opened.create_dataset(prefix + name, data=tensor.numpy())
        opened.attrs["epoch"] = 80
    return file


def by_size(theirs: Tensor) -> Tensor:
    """Of anchors (1, A, C) whose nine of a cell stand by ratio those that stand by size."""
    return theirs.unflatten(1, (-1, 3, 3)).transpose(2, 3).flatten(1, 3)


def test_openpose_s_keypoints_are_coco_s() -> None:
    assert tuple(NAMES[place] for place in OPENPOSE) == COCO.keypoints
    others = [name for name in NAMES if name != "neck"]
    assert tuple(others[place] for place in WITHOUT_NECK) == COCO.keypoints


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "prefix"), [(50, ""), (101, "module.")])
def test_it_computes_what_its_authors_code_does(depth: int, prefix: str, shared: Path, tmp_path: Path) -> None:
    reference = Reference.of(shared, f"multiposenet_pytorch_r{depth}")
    file = write(tmp_path / "ckpt.h5", reference.tensors(), prefix)
    checkpoint, unused = import_multiposenet(file)
    assert unused == [prefix + name for name in UNUSED]
    model, _ = published.built(checkpoint)
    with torch.no_grad():
        stages = model(reference.image[None], stages="all", wanted=["heatmap", "class_logits"])
        prn = model.stack("prn").last
        assert isinstance(prn, Prn)
        persons = test_prn.activation(prn, reference.outputs["prn_input"][..., list(WITHOUT_NECK)])
    given = {name: stage["heatmap"] for name, stage in zip(STAGES, stages, strict=True)}
    given |= {key: stages[-1][key] for key in ("box_deltas", "anchors")}
    given |= {"class_probabilities": stages[-1]["class_logits"].sigmoid(), "prn": persons}
    expected = {name: reference.outputs[name][:, list(OPENPOSE)] for name in STAGES}
    expected |= {name: by_size(reference.outputs[name]) for name in ("box_deltas", "class_probabilities", "anchors")}
    expected["prn"] = reference.outputs["prn"][..., list(WITHOUT_NECK)]
    assert {*expected, "prn_input"} == reference.outputs.keys()
    for name, theirs in expected.items():
        assert given[name].shape == theirs.shape, name
        assert (given[name] - theirs).abs().max() <= TOLERANCE * theirs.abs().max(), name


# ---- an ordinary checkpoint ----------------------------------------------------------------------------------------------


def layout(shared: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a ResNet-50's tensors, with a small PRN."""
    whole = Reference.of(shared, "multiposenet_pytorch_r50").layout
    small = {f"prn.{name}": shape for name, shape in test_prn.layout(test_prn.WIDTH).items()}
    return {name: tuple(shape) for name, shape in whole.items()} | small


@pytest.fixture(scope="module")
def weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    file = write(folder / "ckpt.h5", {name: quickly_drawn(name, shape) for name, shape in layout(shared).items()})
    return save_checkpoint(folder / "best.pt", import_multiposenet(file)[0])


def quickly_drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """Weights that keep the size of what goes through, so that something is found."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var"):
        return torch.ones(shape)
    if name.endswith(("running_mean", "bias")):
        return 0.1 * torch.randn(shape)
    return torch.full(shape, 0.5) if len(shape) < 2 else torch.randn(shape) * float(np.sqrt(2 / np.prod(shape[1:])))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = write_folder(tmp_path_factory.mktemp("coco") / "data")
    return ["data=coco", f"data.root={root}", "workers=0", "input_size=128"]


@pytest.mark.slow
def test_people_are_found_with_it_mirrored_and_in_two_scales(weights: Path, data: list[str], tmp_path: Path) -> None:
    given = [f"weights={weights}", f"images={data[1].removeprefix('data.root=')}/val", *data[2:], "score_threshold=0"]
    assert main(["predict", *given, "flip=true", "scales=[1,0.5]", f"output={tmp_path}"]) == 0
    found = json.loads((tmp_path / "predictions.json").read_text())
    assert {record["image_id"] for record in found} == set(range(IMAGES))


@pytest.mark.slow
def test_it_is_judged_alone_and_on_what_is_true(weights: Path, data: list[str], tmp_path: Path) -> None:
    found = {}
    for name, oracle in (("own", "[]"), ("boxes", "[proposals]"), ("both", "[candidates,proposals]")):
        given = [f"weights={weights}", *data, "pictures=0", f"oracle={oracle}", f"output={tmp_path}/{name}"]
        assert main(["evaluate", *given]) == 0
        found[name] = json.loads((tmp_path / name / "metrics.json").read_text())["AP"]
    assert max(found["own"], found["boxes"]) < 0.1 and found["both"] > 0.9


@pytest.mark.slow
def test_training_goes_on_from_it_and_it_has_a_row_in_a_benchmark(weights: Path, data: list[str], tmp_path: Path) -> None:
    network = ["method=multiposenet", "necks.keypoints.smoothed=sums", "necks.keypoints.reduction=linear", "~heads.segmentation"]
    network += [f"heads.prn.hidden=[{test_prn.WIDTH},{test_prn.WIDTH}]", "heads.prn.input_mass=1", "augment=none"]
    steps = ["engine.steps=1", "engine.batch_size=2", "engine.optimiser.lr=1e-12", "engine.schedule.name=constant"]
    assert main(["train", *network, *data, *steps, f"init={weights}", f"output={tmp_path}/trained"]) == 0
    begun, imported = load_checkpoint(tmp_path / "trained/last.pt"), load_checkpoint(weights)
    assert begun.model.keys() == imported.model.keys()
    learned = [name for name in imported.model if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert all(torch.allclose(begun.model[name], imported.model[name], atol=1e-6) for name in learned)
    quick = ["measure.runs=1", "measure.batch_sizes=[1]", "measure.training_steps=0", "measure.pictures=0"]
    assert main(["benchmark", f"weights={weights}", *data, *quick, "augment=none", f"output={tmp_path}/row"]) == 0
    (row,) = json.loads((tmp_path / "row/benchmark.json").read_text())["rows"]
    assert row["status"] == "measured"


# ---- what is refused -----------------------------------------------------------------------------------------------------

Change = Callable[[Tensors], object]

FAULTS: dict[str, tuple[Change, str]] = {
    "a tensor is missing": (lambda it: it.pop("fpn.smooth2.bias"), r"fpn\.smooth2\.bias: expected \(256,\), found none"),
    "a tensor too many": (lambda it: it.update({"convfin_k6.bias": torch.zeros(19)}), r"convfin_k6\.bias: expected no such tensor"),
    "no neck": (lambda it: it.update({"convfin.weight": torch.zeros(17, 256, 1, 1)}), r"expected 18 along axis 0, found 17"),
    "two classes": (
        lambda it: it.update({"classificationModel.output.weight": torch.zeros(18, 256, 3, 3)}),
        r"classificationModel\.output\.weight: expected 9 along axis 0, found 18",
    ),
    "another kernel": (
        lambda it: it.update({"convs2.weight": torch.zeros(128, 128, 1, 1)}),
        r"convs2\.weight: expected \(128, 128, 3, 3\), found \(128, 128, 1, 1\)",
    ),
    "another backbone": (
        lambda it: [it.pop(name) for name in list(it) if name.startswith("fpn.layer3.5.")],
        r"expected \(3, 4, 6, 3\) blocks \(resnet50\) or .*, found \(3, 4, 5, 3\)",
    ),
    "no PRN": (lambda it: [it.pop(name) for name in list(it) if name.startswith("prn.")], r"prn\.dens1\.weight: expected such"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_another_network_is_refused_at_its_first_difference(name: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, expected = FAULTS[name]
    tensors = {key: torch.zeros(()).expand(shape) for key, shape in layout(shared).items()}  # without memory
    change(tensors)
    monkeypatch.setattr(multiposenet, "read_hdf5", lambda path: Published(str(path), tensors))
    with pytest.raises(CheckpointError, match=f"^ckpt.h5: .*{expected}"):
        import_multiposenet("ckpt.h5")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ckpt.h5"


def test_a_file_that_is_not_hdf5_or_not_there_is_told(file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ckpt\.h5: no such file"):
        import_multiposenet(file)
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="not readable as HDF5"):
        import_multiposenet(file)
    write(file, {"conv2.weight": torch.ones(256, 512)})
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match="not readable as HDF5, it may be cut short"):
        import_multiposenet(file)


def keras(opened: h5py.File) -> None:
    opened.create_group("model_weights").create_dataset("kernel", data=np.zeros(3))


def elsewhere(opened: h5py.File) -> None:
    opened["conv2.weight"] = h5py.ExternalLink("other.h5", "conv2.weight")


def promised(opened: h5py.File) -> None:
    opened.create_dataset("conv2.weight", shape=(1 << 40,), dtype=np.float32, chunks=(1 << 20,))  # a file of 1 kB


def promised_small(opened: h5py.File) -> None:
    opened.create_dataset("conv2.weight", shape=(1 << 40,), dtype=np.float32, chunks=(1 << 20,), compression="gzip")


def in_another_file(opened: h5py.File) -> None:
    opened.create_dataset("conv2.weight", shape=(4,), dtype=np.float32, external=[("other.bin", 0, 16)])


def words(opened: h5py.File) -> None:
    opened.create_dataset("conv2.weight", data=np.array([b"these", b"are"]))


def nothing(opened: h5py.File) -> None:
    opened.create_dataset("conv2.weight", data=h5py.Empty("f4"))


def no_text(opened: h5py.File) -> None:
    opened.create_dataset(b"\xff\xfe", data=np.zeros(3))


def infinite(opened: h5py.File) -> None:
    opened.create_dataset("conv2.weight", data=np.array([0, np.inf], np.float32))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda opened: None, "holds no tensors"),
        (keras, "model_weights is a group, as Keras writes"),
        (elsewhere, r"conv2\.weight is a link to somewhere else"),
        (promised, r"conv2\.weight has 4398046511104 bytes, which are not all in the file"),
        (promised_small, "which are not all in the file"),
        (in_another_file, "which are not all in the file"),
        (words, r"conv2\.weight holds \|S5, expected numbers"),
        (nothing, r"conv2\.weight holds nothing, expected numbers"),
        (no_text, "not readable as HDF5"),
        (infinite, r"weights are not finite \(conv2\.weight\)"),
    ],
)
def test_hdf5_of_another_kind_is_refused(made: Callable[[h5py.File], object], expected: str, file: Path) -> None:
    with h5py.File(file, "w") as opened:
        made(opened)
    with pytest.raises(CheckpointError, match=expected):
        import_multiposenet(file)


def test_without_h5py_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, {"conv2.weight": torch.ones(3)})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r"pip install 'bottomup\[hdf5\]'"):
        import_multiposenet(file)
