"""Sphinx: ``make docs``. Nothing is fetched while the pages are built."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import bottomup
from bottomup.contracts import BACKBONES, DECODERS, HEADS, NECKS
from bottomup.dataset import DATASETS
from bottomup.manual import options_of
from bottomup.registry import Registry
from bottomup.version import __version__

project = "bottomup"
author = "The bottomup developers"
copyright = f"{author}, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3  # so that pages can link to sections, as they do where Markdown is shown as it is
nitpicky = False  # torch's and numpy's names are no links, as their inventories are not fetched
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"bottomup {__version__}"
exclude_patterns = ["_build"]

KINDS = {"Backbones": BACKBONES, "Necks": NECKS, "Heads": HEADS, "Decoders": DECODERS, "Data sets": DATASETS}


class Public(SphinxDirective):
    """Every name that ``bottomup`` itself offers, whether it is imported at once or when it is first used."""

    def run(self) -> list[nodes.Node]:
        """One entry a name."""
        lines: list[str] = []
        for name in bottomup.__all__:
            value = getattr(bottomup, name)
            if isinstance(value, type):
                lines += [f".. autoclass:: bottomup.{name}", "   :members:", ""]
            elif callable(value):
                lines += [f".. autofunction:: bottomup.{name}", ""]
        return parsed(self, lines, "bottomup").children


class Components(SphinxDirective):
    """Every registered component, by kind, documented by its class."""

    def run(self) -> list[nodes.Node]:
        """One section a kind."""
        return [self._section(kind, registry) for kind, registry in KINDS.items()]

    def _section(self, kind: str, registry: Registry[object]) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(kind)])
        section += nodes.title(kind, kind)
        classes = [registry[name] for name in registry.names()]
        lines = [f".. autoclass:: {one.__module__}.{one.__qualname__}" for one in classes if one.__module__.startswith("bottomup.")]
        section += parsed(self, lines, kind).children
        return section


def parsed(directive: SphinxDirective, lines: list[str], source: str) -> nodes.Element:
    """What lines of reStructuredText become where a directive stands."""
    place = nodes.Element()
    directive.state.nested_parse(StringList(lines, source=source), 0, place)
    return place


def list_options(app: Sphinx, what: str, name: str, documented: object, options: object, lines: list[str]) -> None:
    """Below a component's docstring what fits each of its options; what those of a group mean stands in the group's."""
    if isinstance(documented, type) and any(documented is registry[one] for registry in KINDS.values() for one in registry.names()):
        for option in options_of(documented):
            meaning = f" — {option.meaning}" if "." in option.path and option.meaning else ""
            lines += ["", f"* ``{option}``{meaning}"]


def setup(app: Sphinx) -> None:
    """Add what is ours."""
    app.connect("autodoc-process-docstring", list_options)
    app.add_directive("public", Public)
    app.add_directive("components", Components)
