"""``bottomup list`` shows options that are there, with the defaults they have."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import pytest

from bottomup.cli import main
from bottomup.commands.catalogue import KINDS, options_of
from bottomup.data.augment import Augment
from bottomup.engine.settings import Settings


@dataclass(kw_only=True)
class Made:
    steps: int
    names: list[str] = field(default_factory=list)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_lists_something(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == kind and lines and all(line.startswith("  ") for line in lines)


@pytest.mark.parametrize(("kind", "component"), [("engine", Settings), ("augment", Augment)])
def test_every_option_of_the_engine_and_of_augmentation_is_listed(
    kind: str, component: type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    _, _, rest = capsys.readouterr().out.partition(f"\n{kind}\n")
    shown = [line.strip() for line in rest.splitlines()]
    options = [one for one in inspect.signature(component).parameters.values() if one.kind is one.KEYWORD_ONLY]
    assert options
    for option in options:
        (line,) = [line for line in shown if line.startswith(f"{option.name}: ")][:1]
        plain = isinstance(option.default, int | float | str | None)
        assert not plain or line.endswith(f" = {option.default!r}")


def test_what_a_dataclass_makes_anew_is_shown_as_made() -> None:
    assert options_of(Made) == ["steps: int", "names: list[str] = []"]


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "engines"]) == 1
    assert "did you mean 'engine'" in capsys.readouterr().err
