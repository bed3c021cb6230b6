"""From a matrix to a page: every combination once, with its reason where there are no figures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bottomup.cli import main
from bottomup.errors import InterruptedRunError

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

MATRIX = """
common: [data=synthetic, data.size=64, input_size=64, train=true, limit=8, workers=0, judge.limit=3, augment=none]
cells:
  tags: [backbone=hourglass_tiny]
  tags, wider window: [backbone=hourglass_tiny, decoder.window=5]
  walked: [backbone=hourglass_tiny, decoder=personlab]
"""
QUICK = ["engine.steps=2", "engine.batch_size=2", "engine.tensorboard=false", "measure.training_steps=1", "measure.pictures=1"]
OPTIONS = [*QUICK, "measure.runs=1", "measure.batch_sizes=[1]", "seeds=2", "learning_rates=[1e-3,1e-4]", "validation.limit=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("benchmark")
    (where / "matrix.yaml").write_text(MATRIX)
    assert main(["benchmark", f"matrix={where}/matrix.yaml", *OPTIONS, f"output={where}/out"]) == 0
    return where / "out"


def test_every_cell_is_a_row_with_figures_or_a_reason(folder: Path) -> None:
    first, second, third = json.loads((folder / "benchmark.json").read_text())["rows"]
    for row in (first, second):
        assert row["status"] == "measured" and {"AP", "AR"} <= row["figures"].keys() and row["oracle"]["AP"] > 0.5
        assert row["training"]["seeds"] == 2 and row["training"]["learned"] is False  # two steps
        assert {"backbone", "decoder", "total"} <= row["latency"].keys() and row["training_images_per_second"] > 0
    assert third["status"] == "refused" and "short_offsets" in third["reason"]
    assert len(list((folder / "trainings").iterdir())) == 3  # two learning rates and a seed, for both decoders


def test_what_is_there_is_not_measured_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = sorted(folder.glob("*/result.json"))
    results[0].unlink()
    before = {path: path.stat().st_mtime_ns for path in results[1:]}
    assert main(["benchmark", f"matrix={folder.parent}/matrix.yaml", *OPTIONS, f"output={folder}"]) == 0
    assert capsys.readouterr().out.count("(was there)") == 2
    assert results[0].is_file() and all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_an_interrupted_benchmark_ends_and_goes_on_with_the_cell(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = ["benchmark", f"matrix={folder.parent}/matrix.yaml", *OPTIONS, f"output={tmp_path}"]

    def interrupted(_: dict[str, object]) -> None:
        raise InterruptedRunError("interrupted at step 1")

    with monkeypatch.context() as patched:
        patched.setattr("bottomup.commands.train.run", interrupted)
        assert main(again) == 1 and "interrupted at step 1" in capsys.readouterr().err
    assert not list(tmp_path.rglob("result.json"))
    (tmp_path / "trainings").symlink_to(folder / "trainings")
    assert main(again) == 0 and "was there" not in capsys.readouterr().out


def test_a_learning_rate_that_diverges_leaves_the_choice_to_the_others(folder: Path, tmp_path: Path) -> None:
    common = ["benchmark", f"matrix={folder.parent}/matrix.yaml", *QUICK[1:], "engine.steps=3", "measure.runs=null"]

    def first(rates: str) -> dict[str, Any]:
        output = tmp_path / rates
        given = [f"learning_rates={rates}", "learning_rate_steps=2", "validation.limit=1", f"output='{output}'"]
        assert main([*common, *given]) == 0
        row: dict[str, Any] = json.loads((output / "benchmark.json").read_text())["rows"][0]
        return row

    one_left = first("[1e30,1e-3]")
    assert one_left["status"] == "measured"
    assert one_left["training"]["learning_rate"] == 1e-3 and one_left["training"]["steps"] == 3
    none_left = first("[1e30,1e29]")
    assert none_left["status"] == "failed" and "not finite" in none_left["reason"]


def test_a_matrix_named_by_a_number_is_looked_for_and_not_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "matrix=2024", f"output={tmp_path}"]) == 1
    assert "no matrix named '2024'" in capsys.readouterr().err


def test_the_report_holds_everything_within_itself(folder: Path, tmp_path: Path) -> None:
    assert main(["report", f"results={folder}", f"output={tmp_path}", "title='Two <methods>'"]) == 0
    table = (tmp_path / "report.md").read_text()
    assert table.count("\n| tags") == 2 and "walked: refused" in table and "not trained" in table
    page = (tmp_path / "report.html").read_text()
    assert "<h1>Two &lt;methods&gt;</h1>" in page and not re.search(r"<!--[A-Z]+-->", page)
    assert not re.search(r"(src|href)=[\"']?(https?:|//|file:)", page)
    content = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert content is not None
    data = json.loads(content[1])
    assert [exhibit["name"] for exhibit in data["exhibits"]] == ["tags", "tags, wider window"] and len(data["images"]) == 1
    assert {"heatmap", "tags"} <= data["exhibits"][0]["shown"][0]["maps"].keys()


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_the_page_works_in_a_browser_without_a_server(folder: Path, tmp_path: Path) -> None:
    """Rows and people are drawn, the slider hides people below its share of a method's highest score."""
    assert main(["report", f"results={folder}", f"output={tmp_path}"]) == 0
    content = (tmp_path / "report.html").read_text()
    shown, hidden = (dom(content, tmp_path, threshold) for threshold in ("0", "1"))
    for page in (shown, hidden):
        assert page.count("<tr>") == 3 and len(re.findall(r"<svg viewBox", page)) == 2  # a heading, two rows; two overlays
    assert shown.count("<title>score") > hidden.count("<title>score") > 0


def dom(content: str, folder: Path, threshold: str) -> str:
    """The page as it is after its scripts and a move of the slider."""
    move = f"<script>byId('threshold').value = {threshold}; byId('threshold').dispatchEvent(new Event('input'));</script>"
    page = folder / f"{threshold}.html"
    page.write_text(content.replace("</html>", f"{move}</html>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--dump-dom"]
    done = subprocess.run([str(BROWSER), *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_a_folder_without_results_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"results={tmp_path}"]) == 1
    assert "no benchmark.json" in capsys.readouterr().err
