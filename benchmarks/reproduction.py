"""Render docs/reproduction.md: the papers' tables of benchmarks/tables beside what was measured, or what fills them.

``python benchmarks/reproduction.py`` reads what ``benchmarks/tables.py`` wrote where it was copied to benchmarks/results/tables.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


from benchmarks.tables import command_of, training  # noqa: E402
from bottomup.benchmark.results import read_result  # noqa: E402
from bottomup.plan.overrides import key_of  # noqa: E402
from bottomup.report.markdown import markdown_table, share  # noqa: E402

PAGE = ROOT / "docs" / "reproduction.md"
TABLES = ROOT / "benchmarks" / "tables"
RESULTS = ROOT / "benchmarks" / "results"
PAPERS = ("Associative Embedding", "PersonLab", "MultiPoseNet")

# paper, which table, what it shows
_HEADING = re.compile(r"(.+?), (Tables? \d+(?: and \d+)?|Fig\. \d+|Appendix A\.\d+, speed|§\d\.\d, \w+|Oracles): (.+)")
_IMAGES = "data.image_ids=benchmarks/images/val2017_195.json"
_INTRODUCTION = f"""# The papers' tables

Every table of the three papers, as far as it is of their own systems: the printed figures and ours beside them. A column has the
paper's figures, and *ours* those of the same columns; what is not legible in the copies of the papers at hand stays empty, and the
text above a table says so. AP and the like are fractions and are called as in `metrics.json`; of times the device is named.

A row says what measures it, or why nothing does. What is not there yet:

- figures of the test splits of MPII and PASCAL VOC, whose annotations only servers have: Associative Embedding's Table 1 and the
  pixels of people in MultiPoseNet's Table 5, which are measured on images whose annotations are public;
- part affinity fields: in MultiPoseNet's Table 4.

Of COCO's test-dev (`annotations/image_info_test-dev2017.json`, `test2017/*.jpg`) only COCO's server has the annotations: the
command under such a table writes, of each row, `outputs/tables/TABLE/ROW/predictions.json`, which that server judges.

The commands under a table fill it: they train what it needs on COCO, whose folder is written `COCO`
(`annotations/person_keypoints_<split>.json`, `<split>/*.jpg`), then evaluate every row into `outputs/tables`, where rows that are
there already stay. Tables of oracles, which put what is true in the place of some of a network's maps, need no training:

```bash
python benchmarks/tables.py benchmarks/tables/*_oracles.yaml data.root=COCO data.split=val2017 {_IMAGES}
```

Of MultiPoseNet's, the rows of Pose Residual Networks are of all of val2017, by `benchmarks/assignment.py`, and those of the small
network are of `benchmarks/tables/multiposenet_small.yaml`.

Once a file of `outputs/tables` is copied to `benchmarks/results/tables`, `python benchmarks/reproduction.py` shows its figures
here."""

_TAG_LOSS = """Not a table of the paper, whose text sums the pull over a person's keypoints, under which tags stay together; with
their mean, as in pose-ae-train, they come apart. One hourglass with batch norm, after 3,000 steps of 8 images on 96 drawings of two
or three people of 64 px, on which it is judged. Tag distances are means of the last steps, between people's mean tags and of
keypoints to theirs."""
_TAG_LOSS_COMMAND = "bottomup benchmark matrix=tag_loss output=outputs/tag_loss"

Entry = dict[str, Any]
Figures = dict[str, float]


def render() -> str:
    """The page."""
    described = [(path, *heading) for path in sorted(TABLES.glob("*.yaml")) if (heading := read_heading(path))]
    parts = [_INTRODUCTION]
    for paper in PAPERS:
        parts.append(f"## {paper}")
        for path, of, name, about in described:
            if of == paper:
                parts += [f"### {name}", f"{about[0].upper()}{about[1:]}.", *_table(path, yaml.safe_load(path.read_text()))]
        parts += _tag_loss() if paper == "Associative Embedding" else []
    return "\n\n".join(parts) + "\n"


def _tag_loss() -> list[str]:
    """Which tag loss tells people apart, and how the network that does is decoded best: benchmarks/results/tag_loss.json."""
    rows = read_result(RESULTS / "tag_loss.json")["rows"]
    cells = []
    for row in rows:
        tags = row["training"]["figures"]
        between, within = (f"{tags[f'tags/{name}']:.3f}" for name in ("between", "within"))
        cells.append([row["name"], between, within, share(row["figures"]["AP"]), share(row["grouping"]["AP"])])
    names = ["tag loss, decoding", "tags between people", "within people", "AP", "AP, true heatmap"]
    return ["### The tag loss", _TAG_LOSS, markdown_table(names, cells), f"```bash\n{_TAG_LOSS_COMMAND}\n```"]


def read_heading(path: Path) -> tuple[str, str, str] | None:
    """The paper, which of its tables it is, and what that shows, as the file's first comment says; None of no paper's table."""
    comment = re.match(r"(?:#.*\n)+", path.read_text())
    found = _HEADING.fullmatch(" ".join(line.lstrip("# ") for line in comment[0].splitlines())) if comment else None
    return (found[1], found[2], found[3]) if found else None


def _table(path: Path, table: Entry) -> list[str]:
    """The rows, and the commands that fill those that lack figures."""
    rows: list[Entry] = [_with_weights(entry, table["common"]) for entry in table["rows"]]
    names = table.get("columns") or list(dict.fromkeys(name for row in rows for name in row.get("published", {})))
    measured = {row["name"]: _measured(path, row) for row in rows}
    measured |= {row["name"]: _difference(*(measured[of] for of in row["difference"])) for row in rows if "difference" in row}
    lacking = [row for row in rows if "train" in row and not measured[row["name"]]]
    cells = []
    for row in rows:
        own = measured[row["name"]]
        if "columns" in table:
            cells.append([row["name"], *(_figure(own.get(name)) for name in names)])
        else:
            figures = [_figure(row.get("published", {}).get(name)) for name in names]
            cells.append([row["name"], *figures, _ours(row, own, names)])
    columns = [f"{name} on a {table['device']}" if "device" in table else name for name in names]
    pictures = [f"![{row['name']}]({row['picture']})" for row in rows if "picture" in row]
    return [
        markdown_table(["row", *columns, *([] if "columns" in table else ["ours"])], cells),
        *pictures,
        *([_commands(path, lacking, table.get("root", "COCO"))] if lacking else []),
    ]


def _with_weights(entry: Entry, common: list[str]) -> Entry:
    """A row; of one that is evaluated but names no training, the network of the experiment that the table names."""
    if entry.keys() & {"train", "cannot", "command", "difference"}:
        return entry
    train = [override for override in common if key_of(override) == "experiment"]
    if not train or any(key_of(override) == "oracle" for override in common):
        return entry  # whose weights are published, or none
    return {**entry, "train": train, "weights": train[0].partition("=")[2].replace("/", "_"), "unnamed": True}


def _measured(path: Path, row: Entry) -> Figures:
    """The figures of a row that are committed: of a ``row`` of another ``result``, by its name or fields, or its own."""
    place = RESULTS / f"{row['result']}.json" if "result" in row else RESULTS / "tables" / f"{path.stem}.json"
    known = read_result(place)["rows"] if place.is_file() else []
    wanted = row.get("row", row["name"])
    fields = wanted if isinstance(wanted, dict) else {"name": wanted}
    found = [entry for entry in known if fields.items() <= entry.items()]
    figures = found[0].get("measured", found[0]) if found else {}
    return {name: value for name, value in figures.items() if isinstance(value, int | float)}


def _difference(first: Figures, second: Figures) -> Figures:
    """The first row's figures less the second's; none where one of them is not measured."""
    return {name: first[name] - second[name] for name in first.keys() & second.keys()}


def _ours(row: Entry, measured: Figures, names: list[str]) -> str:
    """What was measured of the table's columns, and on what if that is a time; else what measures it, or why nothing does."""
    if measured:
        figures = ", ".join(f"{name} {_figure(measured[name])}" for name in names if name in measured)
        return f"{figures} on {_device(row['result'])}" if "result" in row else figures
    if "cannot" in row:
        return str(row["cannot"])
    if "difference" in row:
        return "*{}* less *{}*".format(*row["difference"])
    if "command" in row:
        return f"`{command_of(row)}`"
    return f"needs `{_option(row)}`" + (f"; the file is for {row['server']}" if "server" in row else "")


def _device(name: str) -> str:
    """The machine that a result was measured on."""
    result = read_result(RESULTS / f"{name}.json")
    return f"{result['device']}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}"


def _commands(path: Path, rows: list[Entry], root: str) -> str:
    """The trainings that rows need, each once, and the evaluation of the table, whose data lie in ``root``."""
    trainings = dict.fromkeys(command for row in rows for command in training(path, row))
    weights = dict.fromkeys(f"{_option(row)}=outputs/{row['weights']}/best.pt" for row in rows if "command" not in row)
    evaluation = ["python benchmarks/tables.py", f"benchmarks/tables/{path.name}", *weights, f"data.root={root}"]
    return "\n".join(["```bash", *trainings, *([" ".join(evaluation)] if weights else []), "```"])


def _option(row: Entry) -> str:
    """What gives ``benchmarks/tables.py`` the weights of a row."""
    return "weights" if "unnamed" in row else f"weights.{row['weights']}"


def _figure(value: float | None) -> str:
    """A fraction with three digits, a time as it is; nothing where none is published."""
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:g}"


if __name__ == "__main__":
    PAGE.write_text(render())
