"""A published file shows what it is, is read without being trusted, and is refused by the first thing that does not fit."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bottomup.cli import main
from bottomup.commands import import_weights
from bottomup.errors import CheckpointError, ConfigError
from bottomup.importers.bodies import skeleton_of
from bottomup.importers.kinds import KINDS, import_file, kind_of
from bottomup.importers.pose_ae import without_leftovers
from bottomup.importers.published import read_published
from bottomup.skeletons import COCO
from tests.unit.importers.published import Tensors, as_pose_ae, small_pose_ae


@pytest.fixture
def tensors() -> Tensors:
    return small_pose_ae()


def saved(path: Path, tensors: Tensors, wrapping: str = "model.module.") -> Path:
    file = path / "checkpoint.pth.tar"
    torch.save(as_pose_ae({wrapping + name: tensor for name, tensor in tensors.items()}), file)
    return file


@pytest.mark.parametrize("wrapping", ["model.module.", "module.", "model.", "1.", ""])
def test_a_file_shows_what_it_is_whatever_trained_it(wrapping: str, tensors: Tensors, tmp_path: Path) -> None:
    file = saved(tmp_path, {name: tensor.half() for name, tensor in tensors.items()}, wrapping)
    assert kind_of(file) == "pose_ae"
    checkpoint, unused = import_file(file)
    assert unused == []
    assert {tensor.dtype for tensor in checkpoint.model.values()} == {torch.float32}


SHOWN: dict[str, Callable[[Path], object]] = {
    "tfjs": lambda file: file.write_text('\n{"modelTopology": {}}'),
    "mmpose": lambda file: torch.save({"state_dict": {"keypoint_head.final_layers.0.weight": torch.zeros(1)}, "meta": {}}, file),
    "higherhrnet": lambda file: torch.save({"1.deconv_layers.0.0.0.weight": torch.zeros(1)}, file),
    "multiposenet": lambda file: file.write_bytes(b"\x89HDF\r\n\x1a\n"),
    "prn": lambda file: torch.save({"dens1.weight": torch.zeros(1)}, file),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_little_of_a_file_shows_its_kind(kind: str, tmp_path: Path) -> None:
    SHOWN[kind](tmp_path / "some")
    assert kind_of(tmp_path / "some") == kind


def test_outputs_that_nobody_reads_are_part_of_what_enters_the_next_stack(tensors: Tensors, tmp_path: Path) -> None:
    """merge(f) + back(out(f)) is the same with them and without."""
    whole = read_published(saved(tmp_path, tensors))
    features = torch.randn(1, 8, 5, 7)

    def entering(tensors: Tensors) -> Tensor:
        def convolved(maps: Tensor, name: str) -> Tensor:
            return torch.conv2d(maps, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

        outputs = convolved(features, "outs.0.conv")
        return convolved(features, "merge_features.0.conv.conv") + convolved(outputs, "merge_preds.0.conv.conv")

    trimmed = without_leftovers(whole)
    assert trimmed.size("outs.0.conv.weight") == trimmed.size("outs.1.conv.weight") == 2 * len(COCO)
    torch.testing.assert_close(entering(trimmed.tensors), entering(whole.tensors), rtol=1e-4, atol=1e-4)


DIFFERENCES: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "one is missing": (
        lambda tensors: tensors.pop("features.1.2.conv.bias"),
        r"model\.module\.features\.1\.2\.conv\.bias: expected \(8,\), found none",
    ),
    "one is of another shape": (
        lambda tensors: tensors.update({"pre.1.conv.weight": torch.zeros(4, 2, 5, 5)}),
        r"model\.module\.pre\.1\.conv\.weight: expected \(4, 2, 3, 3\), found \(4, 2, 5, 5\)",
    ),
    "one is too many": (
        lambda tensors: tensors.update({"pre.1.bn.weight": torch.zeros(4)}),
        r"model\.module\.pre\.1\.bn\.weight: expected no such tensor, found \(4,\)",
    ),
    "what the sizes are read from is missing": (
        lambda tensors: tensors.pop("features.0.0.up1.conv.weight"),
        r"features\.0\.0\.up1\.conv\.weight: expected such a tensor, found none",
    ),
    "there are fewer outputs than are read": (
        lambda tensors: tensors.update({"outs.0.conv.weight": torch.zeros(17, 8, 1, 1)}),
        r"outs\.0\.conv\.weight: expected \(34, 8, 1, 1\), found \(17, 8, 1, 1\)",
    ),
    "one is not finite": (
        lambda tensors: tensors.update({"pre.1.conv.bias": torch.full((4,), torch.nan)}),
        r"not finite \(model\.module\.pre\.1\.conv\.bias\)",
    ),
    "one is of whole numbers": (
        lambda tensors: tensors.update({"pre.1.conv.bias": torch.zeros(4, dtype=torch.int8)}),
        r"model\.module\.pre\.1\.conv\.bias: expected torch\.float32, found torch\.int8",
    ),
    "one is complex": (
        lambda tensors: tensors.update({"pre.1.conv.bias": torch.zeros(4, dtype=torch.complex64)}),
        r"model\.module\.pre\.1\.conv\.bias: expected real numbers, each in the file, found \(4,\) of torch\.complex64",
    ),
    "one is sparse": (
        lambda tensors: tensors.update({"pre.1.conv.bias": torch.zeros(4).to_sparse()}),
        r"pre\.1\.conv\.bias: expected real numbers, each in the file, found .*torch\.sparse_coo",
    ),
    "one repeats itself": (
        lambda tensors: tensors.update({"pre.1.conv.bias": torch.zeros(1).expand(1 << 50)}),
        r"pre\.1\.conv\.bias: expected real numbers, each in the file, found \(1125899906842624,\)",
    ),
    "a size that no network has": (
        lambda tensors: tensors.update({"features.0.0.low1.conv.weight": torch.zeros(3, 8, 3, 3)}),
        r"checkpoint\.pth\.tar: no network has its sizes \(backbone\.growth should be .* got -5\)",
    ),
    "one is a shape alone": (
        lambda tensors: tensors.update({"pre.1.conv.bias": torch.zeros(4, device="meta")}),
        r"pre\.1\.conv\.bias: expected real numbers, each in the file, found .* on meta",
    ),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_file_that_does_not_fit_is_refused_by_the_first_difference(difference: str, tensors: Tensors, tmp_path: Path) -> None:
    change, said = DIFFERENCES[difference]
    change(tensors)
    with pytest.raises(CheckpointError, match=said):
        import_file(saved(tmp_path, tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_numbers_of_any_precision_become_float32(dtype: torch.dtype, tensors: Tensors, tmp_path: Path) -> None:
    tensors["pre.1.conv.bias"] = torch.ones(4).to(dtype)
    published = read_published(saved(tmp_path, tensors))
    assert {tensor.dtype for tensor in published.tensors.values()} == {torch.float32}
    assert published.tensors["pre.1.conv.bias"].tolist() == [1.0] * 4


OUTPUTS, BRANCH = "keypoint_head.final_layer.weight", "backbone.stage4.0.branches.0.0.conv1.weight"
OTHERS: dict[str, tuple[dict[str, tuple[int, ...]], dict[str, object], str]] = {
    "no network of mmpose's": ({OUTPUTS: (34, 8, 1, 1), "backbone.stem.weight": (8, 3)}, {}, "none of mmpose's bottom-up networks"),
    "a map for each keypoint, but no tags": ({OUTPUTS: (17, 8, 1, 1), BRANCH: (1,)}, {}, "a heatmap and a tag of each keypoint"),
    "a ResNet of no published depth": (
        {OUTPUTS: (34, 8, 1, 1), "backbone.layer4.0.conv3.weight": (1,), "backbone.layer3.0.conv3.weight": (1,)},
        {},
        r"backbone\.layer3: expected 6, 23, 36 blocks, found 1",
    ),
    "a skeleton of another number": ({OUTPUTS: (28, 8, 1, 1), BRANCH: (1,)}, {"skeleton": "coco"}, "has 17 keypoints, .* has 14"),
    "an unknown skeleton": ({OUTPUTS: (28, 8, 1, 1), BRANCH: (1,)}, {"skeleton": "crowdpse"}, "did you mean 'crowdpose'"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_network_of_mmpose_s_is_refused(what: str, tmp_path: Path) -> None:
    shapes, options, said = OTHERS[what]
    torch.save({"state_dict": {name: torch.zeros(shape) for name, shape in shapes.items()}}, tmp_path / "some.pth")
    with pytest.raises((CheckpointError, ConfigError), match=said):
        import_file(tmp_path / "some.pth", **options)


def test_as_many_keypoints_may_be_another_body_s(tmp_path: Path) -> None:
    torch.save({OUTPUTS: torch.zeros(28, 8, 1, 1)}, tmp_path / "some.pth")
    published = read_published(tmp_path / "some.pth")
    assert skeleton_of(published, OUTPUTS).name == "crowdpose" and skeleton_of(published, OUTPUTS, "aic").name == "aic"


class Trap:
    """What a file would run if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tensors: Tensors, tmp_path: Path) -> None:
    file, sprung = tmp_path / "trap.pth", tmp_path / "sprung"
    torch.save({"state_dict": tensors, "hook": Trap(sprung)}, file)
    with pytest.raises(CheckpointError, match=r"it holds an object of \S*getattr") as refused:
        import_file(file)
    assert not sprung.exists()
    assert "weights_only" not in str(refused.value) and "\n" not in str(refused.value)


def test_an_object_that_is_not_made_is_named_and_nobody_told_to_make_it(
    tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dated.pth"
    torch.save({"state_dict": tensors, "meta": {"time": datetime.datetime(2020, 8, 16)}}, file)
    for command in (["import-weights", str(file), f"output={tmp_path / 'made'}"], ["evaluate", f"weights={file}"]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert "it holds an object of datetime.datetime" in said and "weights_only" not in said and said.count("\n") == 1
    assert not (tmp_path / "made").exists()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "other tensors": lambda file: torch.save({"encoder.weight": torch.zeros(2)}, file),
    "tensors of two kinds": lambda file: torch.save(
        {"outs.0.conv.weight": torch.zeros(1), "keypoint_head.final_layer.weight": torch.zeros(1)}, file
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_of_a_foreign_or_ambiguous_file_all_kinds_are_listed(what: str, tmp_path: Path) -> None:
    FOREIGN[what](tmp_path / "some.pth")
    with pytest.raises(CheckpointError) as refused:
        kind_of(tmp_path / "some.pth")
    assert all(f"{kind} (" in str(refused.value) for kind in KINDS) and "\n" not in str(refused.value)


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: None, "No such file"),
    "no weights": (lambda file: file.write_text("hello"), "not readable as PyTorch weights"),
    "no state dict": (lambda file: torch.save({"epoch": 3}, file), "holds no state dict"),
    "no names": (lambda file: torch.save({1: torch.zeros(1)}, file), "holds no state dict"),
    "a list": (lambda file: torch.save([torch.zeros(1)], file), "holds no state dict"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_unreadable_file_is_refused(what: str, tmp_path: Path) -> None:
    write, said = UNREADABLE[what]
    write(tmp_path / "some.pth")
    with pytest.raises(CheckpointError, match=said):
        import_file(tmp_path / "some.pth")


def test_an_option_is_the_importer_s(tensors: Tensors, tmp_path: Path) -> None:
    file = saved(tmp_path, tensors)
    with pytest.raises(ConfigError, match="no option named 'refine'"):
        import_file(file, "pose_ae", refine=2)
    with pytest.raises(ConfigError, match="no kind of published files named 'pose_eo'; did you mean 'pose_ae'"):
        import_file(file, "pose_eo")


def test_the_command_needs_no_kind_and_refuses_its_own_checkpoints(
    tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-weights", str(saved(tmp_path, tensors)), f"output={tmp_path / 'made'}"]) == 0
    assert "not used: none" in capsys.readouterr().out
    assert main(["import-weights", str(tmp_path / "made/best.pt"), f"output={tmp_path / 'again'}"]) == 1
    assert "a checkpoint of bottomup's already" in capsys.readouterr().err
    assert main(["import-weights", f"output={tmp_path / 'again'}"]) == 1
    assert "[KIND] FILE output=DIR" in capsys.readouterr().err


def test_what_is_there_already_stays(tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made"
    command = ["import-weights", str(saved(tmp_path, tensors)), f"output={made}"]
    made.mkdir()
    (made / "best.pt").write_text("of a training")
    assert main(command) == 1
    assert "holds a best.pt already; give another output=, or replace it by overwrite=true" in capsys.readouterr().err
    assert (made / "best.pt").read_text() == "of a training"
    assert main([*command, "overwrite=yes"]) == 1
    assert main([*command, "overwrite=true"]) == 0
    (made / "best.pt").unlink()
    (made / "best.pt").mkdir()
    assert main([*command, "overwrite=true"]) == 1
    assert "give another output=" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["", "file", "file/made"])
def test_a_folder_that_cannot_be_is_told(output: str, tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    assert main(["import-weights", str(saved(tmp_path, tensors)), f"output={tmp_path / output if output else ''}"]) == 1
    assert "output=" in capsys.readouterr().err and (tmp_path / "file").read_text() == "kept"


def test_help_names_every_kind_and_option() -> None:
    said = import_weights.__doc__ or ""
    options = {name for kind in KINDS.values() for name in signature(kind.importer).parameters} - {"path"}
    assert all(word in said for word in (*KINDS, *options))
