"""A paper's table, row by row, beside its published numbers.

``python benchmarks/tables.py benchmarks/tables/personlab_5.yaml weights=best.pt data.root=coco [OVERRIDE …]`` evaluates every
row of one table, or of several, and writes ``outputs/tables/personlab_5.json``. A row that is there already is not run again; one
that needs a training of its own is run where its checkpoint is given, as ``weights.raw=raw.pt``, and else says how to train it;
one of several networks, a list, joins them. ``docs/reproduction.md`` shows all tables.

A row is of one kind: what ``bottomup evaluate`` judges has ``overrides``, or those ``common`` to the table; with a ``server``, the
split's annotations are that server's alone, and the row's ``predictions.json`` is written for it. What other programs measure has
a ``command`` that is typed as it stands. A ``difference`` is of two named rows. What the library ``cannot`` measure says why. Those
that need a training have ``train``, the ``weights`` that it makes, and its ``stages``; ``{weights}`` in a command is their name.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from bottomup.benchmark.results import Row, read_result, write_result
from bottomup.commands import evaluate
from bottomup.errors import BottomupError

_SPLITS = "data.root=COCO data.train_split=train2017 data.val_split=val2017"
_HELD_OUT = """"data.train_split='train2017[2830:]'" "data.val_split='train2017[:2830]'\""""  # what is chosen is chosen on a part
_ALONE = ("bottomup train {train} {splits} output=outputs/{weights}",)  # the stages of a network that has no others


def main(arguments: Sequence[str]) -> None:
    """Fill one table, or several in turn."""
    tables = [Path(argument) for argument in arguments if argument.endswith(".yaml") and "=" not in argument]
    if not tables:
        raise SystemExit(__doc__)
    overrides = [argument for argument in arguments if "=" in argument]
    for table in tables:
        result = Path("outputs") / "tables" / f"{table.stem}.json"
        for row in fill(table, overrides, result):
            print({key: value for key, value in row.items() if key != "overrides"}, flush=True)
        print(result, flush=True)


def fill(table: Path, overrides: Sequence[str], result: Path) -> list[Row]:
    """The rows of a table, evaluated with ``overrides`` where ``result`` has them not; written after each."""
    described = yaml.safe_load(table.read_text())
    weights = dict(override.removeprefix("weights").partition("=")[::2] for override in overrides if _is_weights(override))
    given = [override for override in overrides if not _is_weights(override)]
    known = {(row["name"], tuple(row["overrides"])): row for row in read_result(result)["rows"]} if result.is_file() else {}
    names = [entry["name"] for entry in described["rows"]]
    rows: list[Row] = []
    for entry in described["rows"]:
        own = [*described["common"], *entry.get("overrides", []), *given]
        checkpoint = _checkpoint(entry, weights)
        own += [f"weights={checkpoint}"] if checkpoint else []
        done = known.get((entry["name"], tuple(own)))
        kept = done is not None and (done["measured"] or done["note"] == _written(entry, result))
        rows.append(done if done and kept else _row(entry, own, _reason(table, entry, bool(checkpoint)), result))
        later = [row for (name, _), row in known.items() if name in names[len(rows) :]]
        write_result(result, table.stem, {"table": table.name}, [*rows, *later])
    return rows


def _checkpoint(entry: dict[str, Any], given: Mapping[str, str]) -> str | None:
    """The weights of a row, of several networks as a list; None where one of them is not given."""
    names = entry.get("weights", [])
    names = [names] if isinstance(names, str) else names
    own = [given.get(f".{name}", "") for name in names] if names else [given.get("", "")]
    if not all(own):
        return None
    return own[0] if len(own) == 1 else f"[{','.join(own)}]"


def _is_weights(override: str) -> bool:
    return override.partition("=")[0].partition(".")[0] == "weights"


def training(table: Path, entry: dict[str, Any]) -> list[str]:
    """The commands, in order, that train the weights of a row into outputs/WEIGHTS/best.pt.

    They are its ``stages``, a list, or the name of the table beside ``table`` that lists them; without any it is one training.
    ``{splits}`` validates on val2017, ``{held_out}`` on training images.
    """
    stages = entry.get("stages", _ALONE)
    if isinstance(stages, str):
        stages = yaml.safe_load(table.with_name(f"{stages}.yaml").read_text())["stages"]
    train = " ".join(f'"{override}"' if "'" in override else shlex.quote(override) for override in entry["train"])
    splits = {"splits": _SPLITS, "held_out": f"data.root=COCO {_HELD_OUT}"}
    return [stage.format(train=train, weights=entry["weights"], **splits) for stage in stages]


def command_of(entry: dict[str, Any]) -> str:
    """The command of a row that another program measures, with the name of its weights in it."""
    return str(entry["command"]).format(weights=entry.get("weights", ""))


def _reason(table: Path, entry: dict[str, Any], trained: bool) -> str:
    """Why a row cannot be evaluated here; empty where it can."""
    if "cannot" in entry:
        return str(entry["cannot"])
    if "difference" in entry:
        return "the difference of {!r} and {!r}".format(*entry["difference"])
    if "command" in entry:
        return f"measured by: {command_of(entry)}"
    if "train" in entry and not trained:
        return f"needs weights.{entry['weights']}= of: {' && '.join(training(table, entry))}"
    return ""


def _row(entry: dict[str, Any], overrides: list[str], reason: str, result: Path) -> Row:
    """One row: measured, or the reason why not."""
    row: Row = {"name": entry["name"], "overrides": overrides, "published": entry.get("published", {})}
    row |= {"measured": {}, "note": reason}
    if reason:
        return row
    try:
        metrics = evaluate.run([*overrides, f"output='{_folder(entry, result)}'"])
    except BottomupError as error:
        return row | {"note": str(error)}
    if "server" in entry:
        return row | {"note": _written(entry, result)}
    return row | {"measured": {key: value for key, value in metrics.items() if isinstance(value, float)}}


def _written(entry: dict[str, Any], result: Path) -> str:
    """What is to be said of a row whose annotations a server alone has, once its file is there."""
    return f"{_folder(entry, result) / 'predictions.json'} is for {entry.get('server')}, which alone has the annotations"


def _folder(entry: dict[str, Any], result: Path) -> Path:
    return result.parent / result.stem / "".join(letter if letter.isalnum() else "_" for letter in entry["name"])


if __name__ == "__main__":
    main(sys.argv[1:])
