"""How commands are called and how they end."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from bottomup import cli
from bottomup.cli import COMMANDS, main
from bottomup.commands import benchmark, catalogue, evaluate, predict
from bottomup.errors import BottomupWarning

TOOLS = Path(__file__).parents[2] / "tools"


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
