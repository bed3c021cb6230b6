"""What a page tells somebody to type runs, what it links to is there, and what it says was measured is what was measured."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.render import render
from bottomup.benchmark.cells import cells_of
from bottomup.cli import COMMANDS, main
from bottomup.plan.composing import load_config
from bottomup.plan.model import ModelPlan
from bottomup.plan.training import train_plan
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.pages import PAGES, ROOT, WRITTEN, blocks, commands, section

EXAMPLE = ROOT / "examples" / "own_data"
TYPED = sorted({command for text in WRITTEN.values() for command in commands(text)})
ELSEWHERE = ("docs/extend.md", "docs/export.md")  # test_contributing, test_export
WITH_PYTHON = [name for name, text in WRITTEN.items() if blocks(text, "python") and name not in ELSEWHERE]
FROM_A_SHELL = ("cd", "curl", "mkdir", ".venv/bin/pre-commit")


# ---- commands --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [command for command in TYPED if command.startswith(("bottomup ", "torchrun "))])
def test_commands_compose(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE if "mice" in command else ROOT)
    _, name, *overrides = shlex.split(re.sub(r"^torchrun .*? -m ", "", command))
    config = COMMANDS[name][1]
    if config is not None:
        load_config(config, overrides)
    if name == "benchmark":
        for cell in cells_of(matrix_of(overrides), [text for text in overrides if not text.startswith("matrix=")]):
            load_config("benchmark", cell.overrides)


def matrix_of(overrides: list[str]) -> str | None:
    return next((text.partition("=")[2] for text in overrides if text.startswith("matrix=")), None)


@pytest.mark.parametrize("command", [command for command in TYPED if not command.startswith(("bottomup ", "torchrun "))])
def test_other_commands_name_what_is_there(command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert next(name for name in arguments if "=" not in name) in targets
    elif program == "python":
        assert (ROOT / arguments[0]).is_file() or (EXAMPLE / arguments[0]).is_file()
    else:
        assert program in FROM_A_SHELL


# ---- code ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pages take for granted: a photo, and a model like that of ``make demo``, hardly trained."""
    folder = tmp_path_factory.mktemp("workplace")
    small = ["backbone.channels=8", "backbone.growth=4", "workers=0", "limit=8", "engine.tensorboard=false"]
    demo = ["experiment=demo/associative_embedding", "engine.steps=1", "engine.validate_every=1", "validation.limit=1"]
    for name in ("demo", "mine"):
        assert main(["train", *demo, *small, f"output={folder}/outputs/{name}"]) == 0
    Image.fromarray(np.full((96, 64, 3), 128, np.uint8)).save(folder / "photo.jpg")
    return folder


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_code_runs_and_gives_what_its_comments_say(page: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    space: dict[str, Any] = {}
    for block in blocks(PAGES[page], "python"):
        exec(compile(block, page, "exec"), space)
        for expression, said in re.findall(r"^(\S.*?)  # (\(\d[\d, 'a-z]*\))", block, re.MULTILINE):
            assert tuple(eval(expression, space)) == ast.literal_eval(said), expression


# ---- YAML ------------------------------------------------------------------------------------------------------------------


def test_the_matrix_composes(tmp_path: Path) -> None:
    (block,) = blocks(PAGES["docs/benchmark.md"], "yaml")
    (tmp_path / "m.yaml").write_text(block)
    cells = cells_of(str(tmp_path / "m.yaml"), [])
    assert [cell.name for cell in cells] == ["tags", "tags, flip", "PersonLab, 513", "PersonLab, 801"]
    for cell in cells:
        load_config("benchmark", cell.overrides)


def test_the_method_and_the_experiment_of_the_page_compose(tmp_path: Path) -> None:
    method, experiment = blocks(PAGES["docs/configuration.md"], "yaml")
    base = load_config("train", ["method=multiposenet", "backbone=mobilenetv2_fpn", "backbone.pretrained=false"])
    own = base | yaml.safe_load(method) | {"decoder": {"name": "associative_embedding"}}
    assert set(ModelPlan.of(own).compose(Task(COCO))[0].heads) == {"heatmap", "tags"}
    place = tmp_path / "experiment" / "mine.yaml"
    place.parent.mkdir()
    place.write_text(f"# @package _global_\n{experiment}")
    plan = train_plan([f"hydra.searchpath=[{tmp_path}]", "experiment=mine"])
    assert (plan.model.method, plan.model.input_size, plan.engine.steps) == ("personlab", 401, 100000)


def test_the_page_on_your_data_shows_the_example_s_files() -> None:
    data, skeleton = map(yaml.safe_load, blocks(PAGES["docs/your-data.md"], "yaml"))
    assert data == yaml.safe_load((EXAMPLE / "configs" / "data" / "mice.yaml").read_text())
    assert skeleton == yaml.safe_load((EXAMPLE / "mouse.yaml").read_text())


# ---- a package of one's own --------------------------------------------------------------------------------------------------


BREAK = "-----\n"
BESIDE_A_PACKAGE = f"""
from bottomup.cli import main
from bottomup.plan.training import train_plan
plan = train_plan(["method=centres", "backbone=hourglass_tiny"])
print(*plan.model.compose(plan.data.dataset("train").task)[0].heads)
for arguments in typed:
    print({BREAK!r}, end="")
    assert main(arguments) == 0
"""


def test_a_package_is_found_with_its_yaml(tmp_path: Path) -> None:
    """Installed as the page's pyproject.toml says, beside this repository, which knows nothing of it."""
    page = PAGES["docs/extend.md"]
    (project,) = map(tomllib.loads, blocks(page, "toml"))
    (search_path,), (method,) = blocks(page, "py"), blocks(page, "yml")
    head = next(block for block in blocks(page, "python") if "class Centre" in block)
    files = {
        "my_lab/__init__.py": "",
        "my_lab/centre.py": head,
        "my_lab/configs/__init__.py": "",
        "my_lab/configs/method/centres.yaml": method,
        "hydra_plugins/my_lab_configs.py": search_path,
        "my_lab-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: my-lab\nVersion: 0.1.0\n",
        "my_lab-0.1.0.dist-info/entry_points.txt": entry_points(project["project"]["entry-points"]),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (first_look,) = blocks(page, "sh")
    typed = [["list", "heads", "methods"], [*shlex.split(first_look)[1:], "show=true"]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    script = f"typed = {typed!r}\n{BESIDE_A_PACKAGE}"  # in one process, for each takes seconds to import PyTorch
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heads, listed, shown = done.stdout.split(BREAK)
    assert heads.split() == ["heatmap", "tags", "centre"]
    for told, words in ((listed, "\n  centres\n"), (shown, "sigma: 6.0")):
        assert words in told and "  centre:" in told


def entry_points(groups: dict[str, dict[str, str]]) -> str:
    return "".join(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in own.items()) for group, own in groups.items())


# ---- pages -----------------------------------------------------------------------------------------------------------------


def test_the_readme_is_a_front_door() -> None:
    readme = PAGES["README.md"]
    assert len(readme.splitlines()) <= 150
    assert readme.index("![") < readme.index("## ")  # a picture before anything else
    for title, most in {"Poses on my photos": 10, "My own data": 10, "Compare": 5}.items():
        assert len(commands(section(readme, title))) <= most
    assert len(blocks(section(readme, "Python"), "python")[0].splitlines()) <= 15


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^()\s]+)\)", re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL))
    links += re.findall(r'src="([^"]+)"', PAGES[page])
    for link in links:
        path, _, anchor = link.partition("#")
        if link.startswith("http"):
            continue
        target = (folder / path).resolve() if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """What headings and labels of a page are called in links to it."""
    text = page.read_text()
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return slugs | set(re.findall(r"^\((.+)\)=$", text, re.MULTILINE))


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/zoo.md", "docs/export.md", "docs/page.md", "docs/video.md"])
def test_figures_are_the_measured_ones(page: str) -> None:
    assert "<!-- /" in PAGES[page] and render(PAGES[page]) == PAGES[page], "run python benchmarks/render.py"


@pytest.mark.slow
def test_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="needs the extra docs")
    pytest.importorskip("myst_parser", reason="needs the extra docs")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "AssociativeEmbedding" in (tmp_path / "api.html").read_text()
