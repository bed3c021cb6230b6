"""The house stands on floors: a module imports from its own floor downwards only, wherever in it the import stands."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "bottomup"

# From the ground up. Names on one floor may import each other, unless they stand in SIBLINGS.
FLOORS = (
    ("version",), ("errors", "paths", "ending"), ("shapes", "precision", "devices", "memory"),
    ("fitting", "jpeg"), ("options",), ("registry", "thresholds", "manual", "crops"),
    ("skeletons",), ("grid", "affine", "framing"), ("grouping",), ("runtime",),  # whose imports bring no PyTorch
    ("geometry",), ("masks", "image_files"), ("videos",), ("instances", "images"), ("drawing",), ("prediction",), ("types",),
    ("contracts", "dataset"),
    ("ops", "coco"), ("samples",),
    ("data", "backbones", "necks", "heads", "decoders"),
    ("head_stack",), ("needs",), ("model",), ("assembly", "views"),
    ("checkpoint",),
    ("base_predictor", "predictor", "ensemble", "refine", "visualize", "export", "engine", "evaluation"),
    ("tracking",),
    ("plan",), ("importers",), ("zoo",), ("page",), ("benchmark",), ("report",), ("workflows",), ("loading", "hub"),
    ("commands",),
    ("",),  # bottomup/__init__.py, the public names
    ("cli", "__main__"),
)  # fmt: skip
SIBLINGS = frozenset({"data", "backbones", "necks", "heads", "decoders"})
KNOWS_HYDRA = frozenset({"plan"})

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 330
OPEN_MAPPINGS = ("config[", "Mapping[str, Any]")
BANNED_WORDS = frozenset({"util", "utils", "helper", "helpers", "misc", "manager", "managers"})


class Import(NamedTuple):
    """One imported module: where it is imported, and whether at once or when a function is called."""

    importer: str
    imported: str
    line: int
    lazy: bool


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        names = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(), str(modules()[module]))


@cache
def imports(module: str) -> list[Import]:
    """Everything a module imports; imports under ``if TYPE_CHECKING`` count too, for a name is a dependency."""
    lazy = {id(node) for function in functions(module) for node in ast.walk(function)}
    return [
        Import(module, imported, node.lineno, id(node) in lazy)
        for node in ast.walk(tree(module))
        for imported in imported_by(module, node)
    ]


def imported_by(module: str, node: ast.AST) -> Iterator[str]:
    """The modules that one statement imports: ``from a import b`` is a.b where that is a module, else a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.split(".") if modules()[module].name == "__init__.py" else module.split(".")[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *base.split(".")]).rstrip(".")
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            yield whole if whole in modules() else base


def functions(module: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def part(module: str) -> str:
    """The file or folder directly under the package that a module belongs to; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    return next(index for index, names in enumerate(FLOORS) if part(module) in names)


def inner(module: str) -> list[Import]:
    """What a module imports of the package itself."""
    return [entry for entry in imports(module) if entry.imported.split(".")[0] == PACKAGE]


def listing(offenders: list[str]) -> str:
    return "\n  " + "\n  ".join(offenders)


def test_every_module_has_a_floor() -> None:
    known = {name for names in FLOORS for name in names}
    homeless = sorted({part(module) for module in modules()} - known)
    assert not homeless, f"give {', '.join(homeless)} a floor in FLOORS (and in CONTRIBUTING.md, if it is a new idea)"


@pytest.mark.parametrize("module", modules())
def test_imports_point_downwards(module: str) -> None:
    offenders = []
    for entry in inner(module):
        own, other = part(module), part(entry.imported)
        upwards = floor(entry.imported) > floor(module)
        sideways = own != other and {own, other} <= SIBLINGS
        if upwards or sideways:
            offenders.append(f"line {entry.line}: {entry.imported} is {'a sibling' if sideways else 'on a higher floor'}")
    assert not offenders, f"{modules()[module].relative_to(ROOT)} imports what it must not know:{listing(offenders)}"


@pytest.mark.parametrize("module", [module for module in modules() if part(module) in SIBLINGS and module.count(".") == 2])
def test_component_folders_hold_components(module: str) -> None:
    """A file's name is what YAML calls the component in it; what components share has an underscore before its name."""
    registers = re.search(r"^@[A-Z]+\.register$", modules()[module].read_text(), re.MULTILINE) is not None
    assert registers != module.split(".")[-1].startswith("_"), f"{module}: register its class, or put an underscore before its name"


def test_no_import_cycle() -> None:
    """Not even by imports inside functions."""
    graph = {module: {entry.imported for entry in inner(module)} - {module, PACKAGE} for module in modules()}
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the cycle


@pytest.mark.parametrize("module", modules())
def test_only_the_composer_and_the_command_know_hydra(module: str) -> None:
    found = [entry for entry in imports(module) if entry.imported.split(".")[0] in ("hydra", "omegaconf")]
    if part(module) not in KNOWS_HYDRA:
        assert not found, f"{module} imports Hydra on line {found[0].line}; let it take plain values"


@pytest.mark.parametrize("module", modules())
def test_third_party_imports_are_declared(module: str) -> None:
    """What is imported at once is a dependency; what an extra installs is imported where it is used."""
    required, optional = declared()
    offenders = []
    for entry in imports(module):
        name = entry.imported.split(".")[0]
        if name in sys.stdlib_module_names or name == PACKAGE:
            continue
        allowed = required | optional if entry.lazy else required
        if not distributions_of(name) & allowed:
            offenders.append(f"line {entry.line}: {name}")
    assert not offenders, f"{module} imports what pyproject.toml does not declare:{listing(offenders)}"


@cache
def declared() -> tuple[set[str], set[str]]:
    """The distributions that bottomup always has, and those that its extras bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    first, second = (
        {normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}
        for requirements in (project["dependencies"], extras)
    )
    return first, second


@cache
def distributions_of(package: str) -> set[str]:
    """The installed distributions that provide an importable name: cv2 comes from opencv-python-headless."""
    return {normal(name) for name in _installed().get(package, [package])}


@cache
def _installed() -> Mapping[str, list[str]]:
    return packages_distributions()  # which reads all that is installed


def normal(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("module", modules())
def test_only_the_plan_reads_open_mappings(module: str) -> None:
    """What stands in a configuration is typed by the plan; JSON and what constructors check themselves have types of their own."""
    text = modules()[module].read_text()
    found = [words for words in OPEN_MAPPINGS if words in text]
    if part(module) != "plan":
        assert not found, f"{module} has {', '.join(found)}: take a part of the plan, a TypedDict, or Mapping[str, object]"


def test_names_say_what_a_thing_does() -> None:
    offenders = [module for module in modules() if BANNED_WORDS & words(module)]
    for module in modules():
        offenders += [
            f"{module}:{node.lineno} {node.name}"
            for node in ast.walk(tree(module))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and BANNED_WORDS & words(node.name)
        ]
    assert not offenders, f"these names say nothing; name what the thing does:{listing(offenders)}"


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}


def test_functions_are_short() -> None:
    offenders = []
    for module in modules():
        for function in functions(module):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                offenders.append(f"{module}.{function.name}: {lines} lines")
    assert not offenders, f"more than {MAX_FUNCTION_LINES} lines; a function does one thing:{listing(offenders)}"


def test_files_are_short() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    offenders = [f"{module}: {lines} lines" for module, lines in lengths.items() if lines > MAX_FILE_LINES]
    assert not offenders, f"more than {MAX_FILE_LINES} lines; a file holds one idea:{listing(offenders)}"
