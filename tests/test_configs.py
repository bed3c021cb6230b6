"""Every configuration composes into a model that trains, and whatever does not fit is one readable sentence."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from bottomup.benchmark.cells import cells_of
from bottomup.cli import COMMANDS, main
from bottomup.compose import available, compose_model, config_folder, load_config
from bottomup.engine.objective import compute_losses
from bottomup.errors import BottomupError
from bottomup.skeletons import COCO
from bottomup.types import Task
from tests.scenes import make_batch

ROOT = Path(__file__).parents[1]
TINY = ["backbone=hourglass_tiny"]


def small(method: str) -> list[str]:
    """A small backbone for a method: one with a pyramid where its necks need that."""
    return ["backbone=mobilenetv2_fpn"] if load_config("train", [f"method={method}"])["necks"] else TINY


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


@pytest.mark.parametrize(
    "overrides",
    [
        *([f"experiment={name}"] for name in names("experiment")),
        *([f"experiment={path.parent.name}", f"method={path.stem}"] for path in sorted(config_folder().glob("recipe/*/*.yaml"))),
        *([f"method={name}", *small(name)] for name in available()),
        ["backbone=mobilenetv2_fpn"],
        ["method=multiposenet", "backbone=dilated_resnet50", "backbone.levels=[2,5]"],
    ],
    ids=" ".join,
)
def test_every_trainable_parameter_gets_a_gradient_in_the_first_step(overrides: list[str]) -> None:
    config = load_config("train", overrides)
    (config.get("backbone") or {}).pop("pretrained", None)  # nothing is fetched here
    model, _ = compose_model(config, Task(COCO))
    side = model.side(64)
    batch = make_batch([2, 1], (side, side))
    given = model.ideal(batch, config["given"])
    compute_losses(model, model(batch.images, given=given, stages="all"), batch).total.mean().backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


@pytest.mark.parametrize("name", [name for name in names("backbone") if name != "hourglass"])
def test_the_same_method_runs_on_every_backbone(name: str) -> None:
    model, decoder = compose_model(load_config("train", [f"backbone={name}"]), Task(COCO))
    side = model.side(64)
    batch = make_batch([1], (side, side))
    outputs = model.eval()(batch.images)[0]
    assert outputs.keys() == {"heatmap", "tags"}
    assert len(decoder(outputs, model.frame(batch))) == 1


def test_modules_within_a_part_are_frozen() -> None:
    model, _ = compose_model(load_config("train", [*TINY, "freeze=[backbone.stem]"]), Task(COCO))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained and not any(name.startswith("backbone.stem") for name in trained)
    assert any(name.startswith("backbone.hourglasses") for name in trained)
    assert not model.train().get_submodule("backbone.stem").training


FAULTS = {
    "a misspelt backbone": (["backbone=hourglas"], "did you mean backbone=hourglass"),
    "a misspelt option": (["backbone.stackz=2"], "did you mean 'stacks'"),
    "a misspelt head option": (["heads.heatmap.sigm=2"], "did you mean 'sigma'"),
    "a misspelt decoder option": (["decoder.windw=5"], "did you mean 'window'"),
    "a misspelt key": (["input_sise=128"], "input_sise"),
    "a decoder without its heads": (["~heads.tags"], "requires tags"),
    "a level that is not there": (["heads.heatmap.level=P9", "backbone=mobilenetv2_fpn"], "no level named 'P9'"),
    "a neck that is not there": (["heads.heatmap.neck=fpm"], "fpm"),
    "an unknown head": (["heads.heatmaps={}"], "did you mean 'heatmap'"),
    "an unknown network": (["backbone=resnet50_fpn", "backbone.network=resnet5O"], "resnet50"),
    "an unknown part to freeze": (["freeze=[backbon]"], "did you mean 'backbone'"),
    "an unknown module to freeze": (["freeze=[backbone.stemm]"], "did you mean 'backbone.stem'"),
    "a missing weights file": (["backbone=resnet50_fpn", "backbone.weights=nowhere.pt"], "nowhere.pt"),
    "a method that is not there": (["method=personlabs"], "personlabs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_refused_in_one_sentence(fault: str) -> None:
    overrides, words = FAULTS[fault]
    with pytest.raises(BottomupError) as error:
        compose_model(load_config("train", [*([] if any("backbone=" in o for o in overrides) else TINY), *overrides]), Task(COCO))
    assert words in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "backbone=hourglas"], "hourglass"),
        (["evaluate", *TINY, "data.images=4"], "weights= is missing"),
        (["evaluate", "weights=none.pt"], "no such checkpoint"),
        (["predict", "weights=none.pt"], "images= is missing"),
        (["train", *TINY, "data=coco", "data.root=nowhere"], "nowhere"),
        (["train", *TINY, "engine.step=3"], "did you mean 'steps'"),
        (["train", *TINY, "engine.optimiser.name=adamm"], "did you mean 'adam'"),
        (["train", *TINY, "augment.rotat=3"], "rotat"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_says_what_is_wrong_without_a_traceback(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = [f"output={tmp_path}"] if arguments[0] in COMMANDS else []
    assert main([*arguments, *output]) != 0
    printed = capsys.readouterr().err
    assert words in printed and "Traceback" not in printed


def readme_commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("bottomup")]


@pytest.mark.parametrize("command", readme_commands())
def test_the_commands_of_the_readme_compose(command: str) -> None:
    _, name, *overrides = shlex.split(command)
    config = COMMANDS[name][1]
    if config is not None:
        load_config(config, overrides)
    if name == "benchmark":
        for cell in cells_of(None, overrides):
            load_config("benchmark", cell.overrides)


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    space: dict[str, object] = {}
    exec(blocks[1], space)
    prediction = space["predictor"](torch.zeros(96, 64, 3, dtype=torch.uint8).numpy())  # type: ignore[operator]
    assert prediction.size == (96, 64)


def test_the_numbers_of_the_readme_are_the_measured_ones() -> None:
    from benchmarks.render import render

    text = (ROOT / "README.md").read_text()
    assert render(text) == text, "run python benchmarks/render.py"
