"""How commands are called and how they end."""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bottomup import cli, load
from bottomup.cli import COMMANDS, main
from bottomup.coco.skeleton import read_skeleton
from bottomup.commands import benchmark, catalogue, evaluate, predict
from bottomup.errors import BottomupWarning
from bottomup.paths import path_of, with_home
from bottomup.plan.composing import load_config
from bottomup.plan.overrides import sweep, value_of
from tests.coco_folders import untrained, write_folder

TOOLS = Path(__file__).parents[2] / "tools"


_WITHOUT = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
from bottomup.cli import main
sys.exit(main())
"""
_ALL = ("torch", "torchvision", "timm", "hydra", "omegaconf", "yaml", "PIL", "pycocotools")  # what the light installation lacks


def without(missing: tuple[str, ...], command: str) -> subprocess.CompletedProcess[str]:
    """A command where packages are not installed."""
    line = [sys.executable, "-c", _WITHOUT.format(missing=missing), *command.split()]
    return subprocess.run(line, capture_output=True, text=True, cwd=TOOLS.parent)


@pytest.mark.parametrize(("missing", "command"), [(_ALL, "predict images=a.jpg weights=b.pt"), (_ALL, "zoo"), (("torch",), "list")])
def test_a_package_that_is_not_installed_is_named_with_the_remedy(missing: tuple[str, ...], command: str) -> None:
    done = without(missing, command)
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"bottomup {command.split()[0]}: ") and "`pip install bottomup`" in done.stderr
    assert any(f": {name} is missing" in done.stderr for name in missing)


@pytest.mark.parametrize(
    ("missing", "command"), [(_ALL, "--version"), (_ALL, "help"), (("torch", "torchvision", "timm"), "train --help")]
)
def test_what_needs_no_pytorch_does_without(missing: tuple[str, ...], command: str) -> None:
    done = without(missing, command)
    assert done.returncode == 0 and done.stdout and done.stderr == ""


def test_a_module_of_ours_that_is_missing_is_no_fault_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "train", ("none", "train"))
    with pytest.raises(ModuleNotFoundError, match=r"bottomup\.commands\.none"):
        main(["train"])


@pytest.mark.parametrize("module", [evaluate, predict, benchmark, catalogue], ids=lambda module: module.__name__)
def test_an_interrupted_command_ends_with_one_line(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run", interrupted)
    command = next(name for name, (file, _) in COMMANDS.items() if module.__name__.endswith(f".{file}"))
    assert main([command]) == 130
    assert capsys.readouterr().err == f"bottomup {command}: interrupted\n"
    monkeypatch.setenv("BOTTOMUP_TRACEBACK", "1")
    assert main([command]) == 130
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_a_warning_of_ours_is_a_line_and_others_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warning(*_: object) -> None:
        warnings.warn("no sigmas", BottomupWarning, stacklevel=1)
        warnings.warn("old", FutureWarning, stacklevel=1)

    monkeypatch.setattr(catalogue, "run", warning)
    before = warnings.formatwarning
    with warnings.catch_warnings():  # whose showwarning is Python's own, where pytest's takes warnings away
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", _shown)
        assert main(["list"]) == 0
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == "bottomup list: no sigmas"
    assert "test_cli.py" in second and "FutureWarning: old" in second
    assert warnings.formatwarning is before


def _shown(message: Warning, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    print(warnings.formatwarning(message, category, filename, lineno), end="", file=sys.stderr)


# ---- nobody reads on -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def unread() -> Iterator[None]:
    """Stdout as a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as stream, contextlib.redirect_stdout(stream):  # noqa: PTH123  # of a descriptor
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe breaks in another way there")
@pytest.mark.parametrize("command", [*COMMANDS, "help"])
def test_every_command_ends_quietly_where_nobody_reads_on(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if command in COMMANDS:
        module = importlib.import_module(f"bottomup.commands.{COMMANDS[command][0]}")
        monkeypatch.setattr(module, "run", lambda *_: print("a\n" * 100_000))
    with unread():
        assert main([command]) == 141
        print("nowhere", flush=True)  # as Python does at its end
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe breaks in another way there")
@pytest.mark.parametrize("flag", ["-X utf8", "-u"])
def test_the_first_lines_of_a_list_are_all_that_is_seen(flag: str) -> None:
    """In a process of its own: what Python itself says at its end is none, buffered or not."""
    command = [sys.executable, *flag.split(), "-m", "bottomup", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=TOOLS.parent) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_another_pipe_that_breaks_is_no_end_of_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError("a worker's")

    monkeypatch.setattr(catalogue, "run", broken)
    with pytest.raises(BrokenPipeError, match="a worker's"):
        main(["list"])


# ---- home ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("images=~/a.jpg", "images=HOME/a.jpg"),
        ("data.root=~", "data.root=HOME"),
        ("init=[~/a.pt,~/b.pt]", "init=[HOME/a.pt,HOME/b.pt]"),
        ("~necks.people", "~necks.people"),  # Hydra's way to leave it out
        ("images=a~/b.jpg", "images=a~/b.jpg"),
        ("images=~somebody/b.jpg", "images=~somebody/b.jpg"),
    ],
)
def test_home_is_read_in_every_value(override: str, read: str) -> None:
    assert with_home(override) == read.replace("HOME", str(Path.home()))


def test_home_is_read_in_values_that_are_swept_and_alone() -> None:
    home = str(Path.home())
    assert value_of("output=~/a") == f"{home}/a"
    assert load_config("predict", ["images=~/a/*.jpg"])["images"] == f"{home}/a/*.jpg"
    assert [load_config("predict", one)["images"] for one in sweep(["images=~/a,~/b"])] == [f"{home}/a", f"{home}/b"]


def test_paths_that_begin_at_home_are_found_and_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "people")
    untrained(Path("~/weights"))
    data = ["data=coco", "data.root=~/people", "workers=0", "pictures=0"]
    assert main(["evaluate", *data, "weights=~/weights/best.pt", "output=~/judged"]) == 0
    assert main(["evaluate", *data, "weights='~/weights/best.pt'", "output='~/judged'"]) == 0  # as quoted for Hydra
    assert main(["predict", "images=~/people/val", "weights=~/weights/best.pt", "output=~/found"]) == 0
    train = ["train", *data[:3], "init=[~/weights/best.pt]", "backbone=hourglass_tiny", "input_size=64"]
    assert main([*train, "engine.steps=1", "engine.batch_size=1", "engine.validate_every=0", "output=~/trained"]) == 0
    found = load("associative_embedding", weights="~/weights/best.pt")("~/people/val/0.jpg")
    assert found.save("~/found/0.json") == tmp_path / "found" / "0.json"
    (tmp_path / "mine.yaml").write_text("{name: mine, keypoints: [a, b], sigmas: [0.1, 0.1], flip_pairs: []}")
    assert read_skeleton("~/mine.yaml").name == "mine"
    for where in ("judged/metrics.json", "found/predictions.json", "trained/last.pt", "found/0.json"):
        assert (tmp_path / where).is_file()
    assert not (tmp_path / "~").exists()


def test_a_name_that_begins_like_home_is_nobody_s() -> None:
    assert path_of("~nobody-of-that-name/a.jpg") == Path("~nobody-of-that-name/a.jpg")
    assert path_of("~/a.jpg") == Path.home() / "a.jpg" and path_of("a/~/b") == Path("a/~/b")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_tool_of_its_name(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda arguments: called.append(arguments) or 0)  # type: ignore[func-returns-value]
    monkeypatch.setattr(sys, "argv", ["tool", "a=1"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOLS / f"{command.replace('-', '_')}.py"), run_name="__main__")
    assert end.value.code == 0 and called == [[command, "a=1"]]


def test_every_tool_is_a_command() -> None:
    assert {path.stem for path in TOOLS.glob("*.py")} == {command.replace("-", "_") for command in COMMANDS}
