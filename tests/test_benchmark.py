"""From a matrix to a page: every combination once, with its reason where there are no figures."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from bottomup.benchmark.results import circumstances_of, read_result
from bottomup.cli import main
from bottomup.commands import benchmark
from bottomup.errors import DataError, InterruptedRunError
from bottomup.evaluation.run import Evaluation
from bottomup.model import PoseModel
from bottomup.plan.benchmarking import BenchmarkPlan, benchmark_plan
from bottomup.plan.training import TrainPlan
from bottomup.precision import precision_on
from bottomup.predictor import Predictor
from bottomup.workflows import measure
from bottomup.workflows.trials import trials
from bottomup.workflows.validation import Judge
from tests.unit.report.results import needs_browser, told_by_browser

COMMON = ["data=synthetic", "data.size=64", "limit=8", "workers=0", "judge.limit=3", "augment=none"]
MATRIX = f"""
common: [{", ".join(COMMON)}, input_size=64, train=true]
cells:
  tags: [backbone=hourglass_tiny]
  tags, wider window: [backbone=hourglass_tiny, decoder.window=5]
  walked: [backbone=hourglass_tiny, decoder=personlab]
"""
QUICK = ["engine.steps=2", "engine.batch_size=2", "engine.tensorboard=false", "measure.training_steps=1", "measure.pictures=1"]
OPTIONS = [*QUICK, "measure.runs=1", "measure.batch_sizes=[1]", "seeds=2", "learning_rates=[1e-3,1e-4]"]
OPTIONS += ["validation.limit=2", "engine.precision=auto"]

Patch = Callable[[str, Callable[..., Any]], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("benchmark")
    (where / "matrix.yaml").write_text(MATRIX)
    assert main(["benchmark", f"matrix={where}/matrix.yaml", *OPTIONS, f"output={where}/out"]) == 0
    return where / "out"


@pytest.fixture
def again(folder: Path, tmp_path: Path) -> Path:
    """All of it once more, to be changed."""
    return shutil.copytree(folder, tmp_path / "out")


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """Put something else in a function's place, as the command knows it."""
    return lambda name, function: monkeypatch.setattr(benchmark, name, function)


def strict(path: Path) -> Any:
    """JSON as other readers take it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path} has {word}, which is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def run_again(folder: Path, matrix: Path, code: int = 0) -> list[dict[str, Any]]:
    assert main(["benchmark", f"matrix={matrix}", *OPTIONS, f"output={folder}"]) == code
    rows: list[dict[str, Any]] = strict(folder / "benchmark.json")["rows"]
    return rows


def test_every_cell_is_a_row_with_figures_or_a_reason(folder: Path) -> None:
    first, second, third = strict(folder / "benchmark.json")["rows"]
    for row in (first, second):
        assert row["status"] == "measured" and {"AP", "AR"} <= row["figures"].keys() and row["oracle"]["AP"] > 0.5
        assert row["figures"]["APL"] is None and row["spread"]["APL"] is None  # nobody is large on 64 px
        assert row["training"]["seeds"] == 2
        assert row["training"]["figures"]["tags/within"] > 0
        assert {"backbone", "decoder", "total"} <= row["latency"].keys() and row["training_images_per_second"] > 0
        assert row["training_precision"] == precision_on(torch.device("cpu"), "auto")
        assert row["matrix_share"] > 0 and row["weights_hash"] is None
    assert third["status"] == "refused" and "short_offsets" in third["reason"]
    assert len(list((folder / "trainings").iterdir())) == 3  # two learning rates and a seed, for both decoders


def test_a_cells_result_holds_how_it_was_configured(folder: Path) -> None:
    for row in strict(folder / "benchmark.json")["rows"]:
        told = read_result(folder / row["folder"] / "result.json")["config"]
        assert told["overrides"] == row["overrides"]
        assert told["composed"] == benchmark_plan(row["overrides"]).plain()


def test_what_was_measured_stays_as_it_is_with_where_and_when(again: Path, folder: Path, patch: Patch) -> None:
    """Also where a file is of before rows said so themselves; what was refused is tried again."""
    tags, wider = (again / row["folder"] / "result.json" for row in strict(folder / "benchmark.json")["rows"][:2])
    elsewhere = {"device": "a large one", "threads": 96, "commit": "c0ffee", "date": "2001-01-01T00:00:00+00:00"}
    old = json.loads(wider.read_text()) | elsewhere
    del old["schema"], old["config"]["composed"]
    old["rows"] = [{k: v for k, v in old["rows"][0].items() if k not in (*elsewhere, "matrix_share", "weights_hash")}]
    old["rows"][0]["device"] = "cpu"
    wider.write_text(json.dumps(old))
    before = {path: path.read_bytes() for path in (tags, wider)}
    tried: list[str] = []

    def refuse(plan: BenchmarkPlan, *_: object) -> None:
        tried.append(plan.model.plain()["decoder"]["name"])
        raise RuntimeError("not now")

    patch("measure", refuse)
    first, second, third = run_again(again, folder.parent / "matrix.yaml")
    assert tried == ["personlab"] and third["status"] == "failed" and "not now" in third["reason"]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert circumstances_of(first) == circumstances_of(json.loads(tags.read_text())) and circumstances_of(second) == elsewhere
    assert second["figures"] == first["figures"] | second["figures"] and first.keys() == second.keys()


def test_a_cell_that_is_missing_is_measured(again: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = sorted(again.glob("*/result.json"))
    results[0].unlink()
    before = results[1].stat().st_mtime_ns
    run_again(again, folder.parent / "matrix.yaml")
    assert capsys.readouterr().out.count("(was there)") == 1
    assert results[0].is_file() and results[1].stat().st_mtime_ns == before


@pytest.mark.parametrize("fault", [KeyError("x"), TypeError("x"), OSError("x"), AssertionError("x"), IndexError("x")])
def test_whatever_fails_is_a_row_and_is_tried_again(fault: Exception, folder: Path, tmp_path: Path, patch: Patch) -> None:
    tried: list[float] = []

    def fail(plan: BenchmarkPlan, *_: object) -> None:
        tried.append(plan.model.plain()["decoder"].get("window", 0))
        raise fault

    patch("measure", fail)
    for _ in range(2):
        rows = run_again(tmp_path, folder.parent / "matrix.yaml", code=1)
        assert [row["status"] for row in rows] == ["failed"] * 3
        assert all(row["reason"].startswith(f"{type(fault).__name__}: ") for row in rows)
    assert len(tried) == 6


@pytest.mark.parametrize(("ends", "code"), [(InterruptedRunError("at step 1"), 130), (KeyboardInterrupt(), 130)])
def test_an_interruption_ends_the_benchmark_and_leaves_the_cell_open(
    ends: BaseException, code: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: dict[str, object]) -> None:
        raise ends

    monkeypatch.setattr("bottomup.workflows.trials.train", interrupted)
    assert main(["benchmark", f"matrix={folder.parent}/matrix.yaml", *OPTIONS, f"output={tmp_path}"]) == code
    assert not list(tmp_path.rglob("result.json"))


def test_a_checkpoint_is_timed_as_the_network_that_it_holds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: Patch
) -> None:
    """And measured once more when the file has changed, not when it has gone."""
    weights = Path(shutil.copy(next((folder / "trainings").rglob("last.pt")), tmp_path))
    trained: list[TrainPlan] = []
    make_trainer = measure.make_trainer

    def recorded(plan: TrainPlan, *others: Any) -> Any:
        trained.append(plan)
        return make_trainer(plan, *others)

    command = ["benchmark", *COMMON, *QUICK, "measure.runs=1", "measure.batch_sizes=[1]", f"weights={weights}"]

    def measured() -> dict[str, Any]:
        assert main([*command, f"output={tmp_path}/out"]) == 0
        row: dict[str, Any] = strict(tmp_path / "out" / "benchmark.json")["rows"][0]
        return row

    with monkeypatch.context() as patched:
        patched.setattr(measure, "make_trainer", recorded)
        row = measured()
    known = strict(folder / "benchmark.json")["rows"][0]
    assert row["status"] == "measured" and row["parameters"] == known["parameters"]
    assert row["gigamacs"] == pytest.approx(known["gigamacs"])
    assert [(plan.model.input_size, plan.model.plain()["backbone"]["channels"]) for plan in trained] == [(64, 32)]
    told = read_result(tmp_path / "out" / row["folder"] / "result.json")["config"]["composed"]
    assert told["input_size"] == 64 and told["backbone"] == trained[0].model.plain()["backbone"]

    patch("measure", lambda *_: {"peak_mebibytes": -1.0, "weights_hash": "another"})
    assert measured() == row
    content = weights.read_bytes()
    weights.unlink()
    assert measured() == row
    weights.write_bytes(content + b" ")
    assert measured()["peak_mebibytes"] == -1.0


def test_a_learning_rate_is_judged_with_the_cells_own_decoder(folder: Path, again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks are those that were trained for another cell."""
    seen: list[tuple[int, tuple[str, ...]]] = []

    def evaluate(predictor: Predictor, *_: object, oracle: tuple[str, ...], **__: object) -> Evaluation:
        seen.append((predictor.decoder.window, tuple(oracle)))  # type: ignore[attr-defined]
        return Evaluation([], {}, {"AP": float("nan") if len(seen) == 1 else 0.0})

    monkeypatch.setattr("bottomup.workflows.trials.evaluate_dataset", evaluate)
    common = strict(folder / "benchmark.json")["rows"][0]["overrides"]
    found = trials(benchmark_plan([*common, "decoder.window=7", "oracle=[heatmap]"]), again / "trainings")
    assert seen == [(7, ("heatmap",))] * 2
    assert [trial.learning_rate for trial in found] == [1e-4, 1e-4]  # AP of the first was undefined


def test_a_learning_rate_is_chosen_by_the_loss_where_that_is_best(
    folder: Path, again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is the same for all that share a training, whatever decodes."""
    seen: list[float] = []

    def losses(judge: Judge, model: PoseModel) -> dict[str, float]:
        seen.append(true_losses(judge, model)["loss"])
        return {"loss": -seen[-1]}  # the worse one is to be chosen

    true_losses = Judge.losses
    monkeypatch.setattr(Judge, "losses", losses)
    common = [*strict(folder / "benchmark.json")["rows"][0]["overrides"], "engine.best=loss"]
    chosen = [trials(benchmark_plan([*common, window]), again / "trainings") for window in ("decoder.window=3", "decoder.window=7")]
    assert seen[0] != seen[1] and seen == [pytest.approx(loss) for loss in seen[:2] * 2]
    worse = [1e-3, 1e-4][seen[:2].index(max(seen))]
    assert [trial.learning_rate for found in chosen for trial in found] == [worse] * 4


def test_a_learning_rate_that_diverges_leaves_the_choice_to_the_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "matrix.yaml").write_text(MATRIX[: MATRIX.index("  tags, wider")])
    common = ["benchmark", f"matrix={tmp_path}/matrix.yaml", *QUICK[:-1], "engine.steps=3", "measure.runs=null"]

    def first(rates: str, code: int = 0) -> dict[str, Any]:
        output = tmp_path / rates
        given = [f"learning_rates={rates}", "learning_rate_steps=2", "validation.limit=1", f"output='{output}'"]
        assert main([*common, *given, "measure.pictures=0"]) == code
        row: dict[str, Any] = strict(output / "benchmark.json")["rows"][0]
        return row

    one_left = first("[1e30,1e-3]")
    assert one_left["status"] == "measured"
    assert one_left["training"]["learning_rate"] == 1e-3 and one_left["training"]["steps"] == 3
    none_left = first("[1e30,1e29]", code=1)
    assert none_left["status"] == "failed" and "not finite" in none_left["reason"]


def test_where_timing_fails_the_figures_stay_with_the_reason(folder: Path, again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DataError("no images to train on")

    monkeypatch.setattr(measure, "_training_speed", fail)
    (again / strict(folder / "benchmark.json")["rows"][0]["folder"] / "result.json").unlink()
    known, row = (
        strict(where / "benchmark.json")["rows"][0] for where in (folder, again) if run_again(again, folder.parent / "matrix.yaml")
    )
    assert row["status"] == "measured" and row["figures"] == known["figures"] and row["latency"].keys() == known["latency"].keys()
    assert row["training_images_per_second"] is None and row["reason"] == "not timed whole: no images to train on"


def test_times_are_taken_anew_where_that_is_asked_for(again: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained or judged for that, and of a checkpoint it is the same network."""
    for name in ("trials.train", "measure.evaluate_dataset", "trials.evaluate_dataset"):
        monkeypatch.setattr(f"bottomup.workflows.{name}", lambda *_, **__: pytest.fail("not only timed"))
    monkeypatch.setattr(measure, "block_latencies", lambda *_: {"total": {"p50_ms": -1.0, "p90_ms": -1.0}})
    known, row = (strict(where / "benchmark.json")["rows"][1] for where in (folder, again) if retimed(again, folder))
    assert row["latency"]["total"]["p50_ms"] == -1.0 and row["gigamacs"] == known["gigamacs"]
    unchanged = ("figures", "spread", "oracle", "grouping", "training", "parameters", "judged", "overrides")
    assert {key: row[key] for key in unchanged} == {key: known[key] for key in unchanged}
    assert read_result(again / row["folder"] / "result.json")["rows"] == [row]
    assert main(["benchmark", "retime=perhaps", f"output={again}"]) == 1


def retimed(again: Path, folder: Path) -> bool:
    return main(["benchmark", f"matrix={folder.parent}/matrix.yaml", *OPTIONS, f"output={again}", "retime=true"]) == 0


def test_figures_of_what_nobody_trained_say_so(tmp_path: Path) -> None:
    small = [*COMMON, "input_size=64", "backbone=hourglass_tiny"]
    command = ["benchmark", *small, "measure.runs=null", "measure.pictures=0", "judge.limit=1"]

    def reason(name: str, *options: str) -> str:
        assert main([*command, *options, f"output={tmp_path}/{name}"]) == 0
        (row,) = strict(tmp_path / name / "benchmark.json")["rows"]
        return str(row["reason"])

    assert reason("none") == "not trained: heatmap, tags"
    assert reason("ideal", "oracle=[tags]") == "not trained: heatmap"
    assert reason("heatmap", "train=true", "trained=[heatmap]", *QUICK[:3]) == "not trained: tags"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["wieghts=a.pt"], "wieghts"),
        (["resume=true"], "remove a combination's folder"),
        (["overwrite=true"], "remove a combination's folder"),
        (["oracle=[heatmaps]", "train=true"], "did you mean 'heatmap'"),
        (["weights=a.pt", "train=true"], "give one"),
        (["seeds=2"], "give train=true"),
        (["learning_rates=[1e-3,1e-4]"], "give train=true"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bottomup.workflows.trials.train", lambda *_: pytest.fail("trained"))
    assert main(["benchmark", *COMMON, "backbone=hourglass_tiny", *options, f"output={tmp_path}"]) == 1
    told = capsys.readouterr()
    assert sentence in told.out + told.err


def test_a_result_that_cannot_be_read_is_named(again: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = next(again.glob("*/result.json"))
    damaged.write_text("[1]")
    assert main(["benchmark", f"matrix={folder.parent}/matrix.yaml", *OPTIONS, f"output={again}"]) == 1
    assert f"{damaged}: a benchmark's result should be an object" in capsys.readouterr().err


def test_a_matrix_named_by_a_number_is_looked_for_and_not_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "matrix=2024", f"output={tmp_path}"]) == 1
    assert "no matrix named '2024'" in capsys.readouterr().err


def test_the_report_holds_everything_within_itself(folder: Path, tmp_path: Path) -> None:
    assert main(["report", f"results={folder}", f"output={tmp_path}", "title='Two <methods>'"]) == 0
    table = (tmp_path / "report.md").read_text()
    assert table.count("\n| tags") == 2 and "walked: refused" in table
    page = (tmp_path / "report.html").read_text()
    assert "<h1>Two &lt;methods&gt;</h1>" in page and not re.search(r"<!--[A-Z]+-->", page)
    assert not re.search(r"(src|href)=[\"']?(https?:|//|file:)", page)
    content = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert content is not None
    data = json.loads(content[1])
    assert [exhibit["name"] for exhibit in data["exhibits"]] == ["tags", "tags, wider window"] and len(data["images"]) == 1
    assert {"heatmap", "tags"} <= data["exhibits"][0]["shown"][0]["maps"].keys()


@needs_browser
def test_the_page_works_in_a_browser_without_a_server(folder: Path, tmp_path: Path) -> None:
    """A click on a heading sorts, another one the other way round; image, view and slider change what is drawn."""
    other = shutil.copytree(folder, tmp_path / "other", ignore=shutil.ignore_patterns("trainings"))
    for picture in other.glob("*/0.jpg"):  # as if the other benchmark's first image were another one
        cv2.imwrite(str(picture), 255 - cv2.imread(str(picture)))
    assert main(["report", f"results=[{folder},{other}]", f"output={tmp_path}"]) == 0
    seen = told_by_browser((tmp_path / "report.html").read_text(), tmp_path, CLICKS)
    assert len(seen["once"]) == 4 and seen["once"] == sorted(seen["once"]) and seen["twice"] == seen["once"][::-1]
    assert seen["all"]["overlays"] == 2 and seen["all"]["people"] > seen["best"]["people"] > 0
    assert seen["heatmap"]["overlays"] == 0 and seen["heatmap"]["maps"] == 2
    assert seen["all"]["names"] == seen["best"]["names"] == seen["heatmap"]["names"]
    assert seen["other"]["picture"] != seen["all"]["picture"] and not set(seen["other"]["names"]) & set(seen["all"]["names"])


CLICKS = """
const heading = () => document.querySelector("th");
const column = () => [...document.querySelectorAll("#table td:first-child")].map((cell) => cell.textContent);
const choose = (id, value) => { byId(id).value = value; byId(id).dispatchEvent(new Event("input")); };
const all = (selector) => [...byId("grid").querySelectorAll(selector)];
const drawn = () => ({
  names: all("figcaption").map((caption) => caption.textContent), overlays: all("svg").length, maps: all("img").length,
  people: all("title").length, picture: all("image")[0]?.getAttribute("href"),
});
const seen = {};
heading().click(); seen.once = column();
heading().click(); seen.twice = column();
for (const one of data.exhibits) {  // the network is no good: its decoder would recommend nobody
  one.thresholds.score = Math.max(...one.shown.flatMap((image) => image.people.map((person) => person.score)));
}
choose("score", 0); seen.all = drawn();
choose("score", 1); seen.best = drawn();
choose("view", "heatmap"); seen.heatmap = drawn();
choose("view", "people"); choose("image", byId("image").options[1].value); seen.other = drawn();
return seen;
"""


def test_a_folder_without_results_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"results={tmp_path}"]) == 1
    assert "no benchmark.json" in capsys.readouterr().err
