"""Help is there at once, and says of each key what fits, its default and its meaning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bottomup.cli import COMMANDS, main
from bottomup.plan.command_help import meaning_of
from bottomup.plan.composing import load_config
from bottomup.plan.files import shipped
from bottomup.plan.keys import keys_read
from bottomup.version import __version__

ROOT = Path(__file__).parents[3]
FILES = ("train", "evaluate", "predict", "track", "export", "page", "benchmark", "report")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "asked", ["train --help", "evaluate -h", "help predict", "benchmark method=personlab --help", "list --help"]
)
def test_help_needs_no_torch(asked: str) -> None:
    """Which takes seconds to be imported."""
    code = f"import sys; from bottomup.cli import main; main({asked.split()!r}); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert shown.splitlines()[-1] == "False" and len(shown.splitlines()) > 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, command, "--help") == printed(capsys, "help", command)


@pytest.mark.parametrize("command", FILES)
def test_every_key_of_a_command_is_told_with_its_default_and_meaning(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {line.split("=")[0].strip(): line for line in printed(capsys, command, "--help").splitlines() if line.startswith("  ")}
    for key, value in load_config(command).items():
        if key not in keys_read(command) or (isinstance(value, dict) and value):  # parts and inner keys have lines of their own
            continue
        told = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
        assert shown[key].lstrip().startswith(f"{key}={told}")
        meaning = meaning_of(command, key)
        assert meaning and meaning in shown[key]


def test_inner_keys_have_what_fits_them_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in printed(capsys, "train", "--help").splitlines()]
    assert "validation.max_people=20 a whole number from 1 on instances an image that count" in lines
    assert "engine.steps=10000 a whole number of the optimiser" in lines


def test_parts_that_a_command_does_not_read_are_not_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "predict", "--help")
    assert "images=null" in shown and "engine" not in shown.split("Chosen by name")[1].split("KEY=DEFAULT")[1]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--version") == f"bottomup {__version__}\n"


# ---- show ----------------------------------------------------------------------------------------------------------------


def test_what_is_shown_is_what_a_run_would_write_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = yaml.safe_load(printed(capsys, "train", "experiment=demo/personlab", "engine.steps=7", "show=true"))
    assert shown["engine"]["steps"] == 7 and shown["decoder"]["name"] == "personlab" and shown["input_size"] == 128
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["combine", "show_targets", "doctor", "report", "evaluate"])
def test_every_configuration_can_be_shown(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert yaml.safe_load(printed(capsys, command, "show=true"))


def test_of_a_benchmark_every_combination_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    documents = list(yaml.safe_load_all(printed(capsys, "benchmark", "show=true", "input_size=128,192", "train=true")))
    assert [document["input_size"] for document in documents] == [128, 192]


def test_what_has_no_configuration_cannot_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-weights", "show=true"]) == 1
    assert "bottomup import-weights --help" in capsys.readouterr().err


def test_configurations_that_are_listed_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    listed = dict(line.strip().split(": ", 1) for line in printed(capsys, "list", "configs").splitlines()[1:])
    for group, names in listed.items():
        assert names.split(", ") == shipped(group) and not any(name.rpartition("/")[2][0] == "_" for name in names.split(", "))
    assert set(listed) <= set(keys_read("train"))
