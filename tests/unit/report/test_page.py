"""The page shows side by side what is of the same image, sorts every column both ways, and takes what is undefined."""

from __future__ import annotations

import json
import re
from math import nan
from pathlib import Path
from typing import Any

from bottomup.report.page import page
from bottomup.report.rows import read_results
from tests.unit.report.results import needs_browser, refused, row, show, told_by_browser, written

CHOOSE = """
const choose = (id, value) => { byId(id).value = value; byId(id).dispatchEvent(new Event("input")); };
const figures = () => [...byId("grid").querySelectorAll("figure")];
const names = () => figures().map((figure) => figure.querySelector("figcaption").textContent);
"""
SORT = """
const click = (name) => [...document.querySelectorAll("th")].find((cell) => cell.textContent === name).click();
const column = (index) => [...document.querySelectorAll("#table tr td:nth-child(" + index + ")")].map((cell) => cell.textContent);
const arrow = () => document.querySelector("th[aria-sort]").getAttribute("aria-sort");
"""


def data_of(content: str) -> Any:
    """The page's data as a browser reads them, which knows no NaN."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', content, re.DOTALL)
    assert found is not None

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(found[1], parse_constant=refuse)


def two_results(folder: Path, other_grey: int) -> str:
    """The page of two results, each with a picture of an image 1."""
    for name, grey in (("a", 100), ("b", other_grey)):
        written(folder / name, [row(f"method {name}")])
        show(folder / name / f"method_{name}", grey)
    return page(read_results([folder / "a", folder / "b"]), "title")


def test_images_of_one_id_and_different_content_stay_apart(tmp_path: Path) -> None:
    data = data_of(two_results(tmp_path, other_grey=200))
    first, second = (exhibit["shown"][0]["image"] for exhibit in data["exhibits"])
    assert first != second and len(data["images"]) == 2
    assert data["images"][first]["source"] != data["images"][second]["source"]
    assert len({image["label"] for image in data["images"].values()}) == 2


def test_an_image_of_two_results_is_in_the_page_once(tmp_path: Path) -> None:
    data = data_of(two_results(tmp_path, other_grey=100))
    assert len({exhibit["shown"][0]["image"] for exhibit in data["exhibits"]}) == len(data["images"]) == 1


def test_a_page_of_nothing_but_reasons_and_undefined_figures_is_whole(tmp_path: Path) -> None:
    written(tmp_path, [row("undefined", {"AP": None}, ms=None), refused("a", "no <tags>"), refused("b", "no <tags>")])
    show(tmp_path / "undefined", 100, scores=(nan, 0.5))
    content = page(read_results([tmp_path]), "title")
    assert content.count("no &lt;tags&gt;") == 1 and "<b>a; b</b>" in content
    assert data_of(content)["exhibits"][0]["shown"][0]["people"][0]["score"] is None


@needs_browser
def test_every_column_sorts_both_ways_with_what_is_missing_below(tmp_path: Path) -> None:
    aps = {"size 10": 0.2, "size 9": None, "wide": 0.3, "narrow": 0.1}
    written(tmp_path, [row(name, {"AP": ap}) for name, ap in aps.items()])
    script = f"""{SORT}
      const seen = [[column(2), arrow()]];
      for (const name of ["AP", "combination", "combination"]) {{
        click(name);
        seen.push([column(name === "AP" ? 2 : 1), arrow()]);
      }}
      return seen;"""
    best, worst, forwards, backwards = told_by_browser(page(read_results([tmp_path]), "title"), tmp_path, script)
    assert best == [["0.300", "0.200", "0.100", "—"], "descending"]
    assert worst == [["0.100", "0.200", "0.300", "—"], "ascending"]
    assert forwards == [["narrow", "size 9", "size 10", "wide"], "ascending"]
    assert backwards == [forwards[0][::-1], "descending"]


@needs_browser
def test_another_image_or_view_shows_those_who_have_it(tmp_path: Path) -> None:
    written(tmp_path, [row("both"), row("second"), row("maps")])
    show(tmp_path / "both", 10, ids=(1, 2))
    show(tmp_path / "second", 11, ids=(2,), scores=(None, 1.0))
    show(tmp_path / "maps", 11, ids=(2,), maps=("heatmap",))
    script = f"""{CHOOSE}
      const [one, two] = [...byId("image").options].map((option) => option.value);
      const pictures = () => figures().map((figure) => figure.querySelector("image, img").getAttribute(
        figure.querySelector("image") ? "href" : "src"));
      const seen = [];
      for (const [image, view] of [[one, "people"], [two, "people"], [two, "heatmap"], [one, "heatmap"]]) {{
        choose("image", image);
        choose("view", view);
        seen.push([names(), new Set(pictures()).size, pictures()[0], byId("absent").textContent]);
      }}
      return seen;"""
    first, second, heatmap, nothing = told_by_browser(page(read_results([tmp_path]), "title"), tmp_path, script)
    assert first[:2] == [["both"], 1] and "second (measured on other images)" in first[3]
    assert second[:2] == [["both", "second", "maps"], 1] and second[2] != first[2] and not second[3]
    assert heatmap[:2] == [["maps"], 1] and "both; second" in heatmap[3]
    assert nothing[:2] == [[], 0]


@needs_browser
def test_a_page_without_combinations_has_its_plot_alone(tmp_path: Path) -> None:
    results = read_results([Path(__file__).parents[3] / "benchmarks" / "results" / "people.json"])
    hidden = "return ['figures', 'images'].map((id) => byId(id).hidden).concat(document.querySelectorAll('.plots figure').length);"
    assert told_by_browser(page(results, "title"), tmp_path, hidden) == [True, True, 1]
