"""What signatures and docstrings say of options is what the catalogue prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest

from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS
from bottomup.dataset import DATASETS
from bottomup.engine.optim import Average, Optimiser, Schedule
from bottomup.engine.settings import Settings
from bottomup.manual import REQUIRED, Option, options_of
from bottomup.options import Positive
from bottomup.samples.augment import Augment

COMPONENTS = [Augment, Settings, Average, Optimiser, Schedule] + [
    registry[name] for registry in (BACKBONES, NECKS, HEADS, DECODERS, DATASETS) for name in registry.names()
]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far: ``radius`` from the middle."""

    radius: Annotated[Positive, "input px"] | None = None
    names: list[str] = field(default_factory=list)


def build(source: int, *, shape: Literal["disk", "ring"], reach: Reach = Reach(), open: bool = False) -> None:
    """Something round; ``shape`` "ring" has a hole. It may be ``open``, of any ``shape``.

    ``shape`` says which.
    """


def test_an_option_is_its_path_what_fits_unit_default_choices_and_the_sentence_that_names_it_first() -> None:
    shape, radius, names, opened = options_of(build)
    assert shape == Option("shape", "disk or ring", None, REQUIRED, ("disk", "ring"), '``shape`` "ring" has a hole.')
    assert radius.path == "reach.radius" and radius.unit == "input px" and radius.meaning == "``radius`` from the middle."
    assert str(radius) == "reach.radius: a number above 0 (input px) or null = None"
    assert str(names) == "reach.names: a list of texts = []" and names.meaning is None
    assert opened.meaning == "It may be ``open``, of any ``shape``." and str(shape) == "shape: disk or ring"


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_every_option_s_meaning_is_told(component: type) -> None:
    assert not [option.path for option in options_of(component) if not option.meaning]
