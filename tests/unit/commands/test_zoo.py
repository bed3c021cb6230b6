"""``bottomup zoo`` lists what is published, tells all of one network, and fetches it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bottomup.checkpoint import load_checkpoint
from bottomup.cli import main
from bottomup.zoo.entries import entries
from tests.published import write_posenet

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOTTOMUP_HOME", str(tmp_path))
    return tmp_path


def test_a_line_a_network_with_what_decides(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_posenet(home / "downloads" / "posenet")
    assert main(["zoo"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split("  ")[0] == "name" and str(home) in lines[-1]
    told = dict(zip((entry.name for entry in entries()), lines, strict=False))
    assert all(told[entry.name].startswith(entry.name) and entry.licence in told[entry.name] for entry in entries())
    assert told["posenet"].endswith("here") and told["hrnet_w32"].endswith("to download") and told["prn"].endswith("by hand")
    assert "0.654 COCO val2017" in told["hrnet_w32"] and "28.5 M" in told["hrnet_w32"]


def test_all_that_is_known_of_one_network(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "multiposenet_r101", "hrnet_w32"]) == 0
    told = capsys.readouterr().out
    for words in ("NO COMMERCIAL USE", "ECCV", "ckpt_baseline_resnet101.h5, by hand from", "SHA-256 begins with bcb8c247"):
        assert words in told
    assert "flip=true, which is not switched on by itself" in told and str(home / "downloads" / "hrnet_w32") in told


def test_a_network_is_fetched_for_later(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_posenet(home / "downloads" / "posenet")
    assert main(["zoo", "posenet", "fetch=true"]) == 0
    path = capsys.readouterr().out.strip()
    assert Path(path).is_relative_to(home / "checkpoints") and load_checkpoint(path).config["method"] == "personlab"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["posnet"], "did you mean 'posenet'?"),
        (["posenet", "fetsh=true"], "did you mean 'fetch'?"),
        (["posenet", "fetch=yes"], "fetch should be true or false"),
        (["fetch=true"], "say what is to be fetched"),
    ],
)
def test_mistakes_get_one_sentence(typed: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", *typed]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_listing_needs_no_torch() -> None:
    listing = "import sys; from bottomup.cli import main; main(['zoo']); assert 'torch' not in sys.modules, 'torch'"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", listing], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
