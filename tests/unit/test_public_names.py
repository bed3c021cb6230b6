"""What ``import bottomup`` gives, and what it costs: names on demand, prediction without what only training needs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import bottomup
from bottomup import DataPlan, Skeleton
from bottomup.errors import BottomupWarning
from tests.coco_folders import drawn, save_jpeg, untrained, write_folder

ROOT = Path(__file__).resolve().parents[2]

# What only training, composing or drawing needs, and takes seconds to import.
NOT_FOR_PREDICTION = (
    "timm",  # this and the next by a network that has no part of theirs
    "torchvision",
    "torch._dynamo",
    "albumentations",
    "hydra",
    "omegaconf",
    "tensorboard",
    "matplotlib",
    "bottomup.engine",
    "bottomup.samples.augment",
)


@pytest.mark.parametrize("name", bottomup.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(bottomup, name)
    if name != "__version__":
        assert value.__name__ == name and value.__module__.startswith("bottomup.")
        assert value.__doc__ and not value.__doc__.startswith(f"{name}(")  # which a dataclass writes itself


def test_the_names_for_type_checkers_are_those_at_run_time() -> None:
    tree = ast.parse(Path(bottomup.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    said = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted({*said, "__version__"}) == bottomup.__all__ == sorted(bottomup.__all__)
    for name, module in said.items():
        assert getattr(bottomup, name) is getattr(importlib.import_module(str(module)), name)
    assert set(bottomup.__all__) <= set(dir(bottomup))


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        bottomup.laod  # noqa: B018


def test_the_import_alone_brings_no_torch() -> None:
    assert imported_by("import bottomup; bottomup.__all__", "torch", "numpy", "cv2") == []


def test_predicting_from_a_checkpoint_imports_nothing_of_training(tmp_path: Path) -> None:
    save_jpeg(tmp_path / "photo.jpg", drawn(0, 17))
    code = f"""
import bottomup
found = bottomup.load({str(untrained(tmp_path))!r}, input_size=64, score_threshold=0.0)({str(tmp_path / "photo.jpg")!r})
assert found.instances.keypoints.shape[1:] == (17, 2), found
"""
    assert imported_by(code, *NOT_FOR_PREDICTION) == []


def imported_by(code: str, *modules: str) -> list[str]:
    """Which of some modules a Python of its own has imported after it ran the code."""
    told = f"{code}\nimport sys; print(*[name for name in {modules!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_a_warning_points_at_the_user_s_own_line(tmp_path: Path) -> None:
    with pytest.warns(BottomupWarning, match="no OKS sigmas") as said:
        Skeleton("pair", ("a", "b"), (), (("a", "b"),))
    assert said[0].filename == __file__
    for file in (write_folder(tmp_path / "there", names=["nose", "tail"]) / "annotations").iterdir():
        file.write_text(file.read_text().replace('"sigmas"', '"spread"'))
    with pytest.warns(BottomupWarning, match="no OKS sigmas") as said:  # deep below, and through the check of options
        DataPlan(name="coco", options={"root": str(tmp_path / "there")}).dataset("train")
    assert {warning.filename for warning in said} == {__file__}
