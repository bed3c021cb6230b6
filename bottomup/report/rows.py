"""What was measured, read back: a row of figures a combination, where its pictures lie, and the times of decoders by people."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bottomup.benchmark.results import Result, Row, read_result
from bottomup.errors import ConfigError, of_system
from bottomup.report.checks import all_printable, check_people, check_row
from bottomup.report.provenance import Provenance, lines_of, provenance

_COMBINATIONS, _PEOPLE = "benchmark", "people"  # the names of the benchmarks that a report shows
_KEYS = {"choices", "folder", "status", "reason", "figures", "training", "latency", "parameters", "images_per_second"}  # of a row
_WANTED = "give the output= folder of bottomup benchmark, or the people.json of benchmarks/people.py"


@dataclass(frozen=True)
class Measured:
    """One combination."""

    row: Row
    folder: Path  # of its pictures
    provenance: Provenance
    origin: str = ""  # its benchmark, where another one has a combination of the same name

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.row['name']} ({self.origin})" if self.origin else str(self.row["name"])

    @property
    def there(self) -> bool:
        """Whether there are figures of it."""
        return bool(self.row["status"] == "measured")

    @property
    def milliseconds(self) -> float | None:
        """The median time of one image, from pixels to people."""
        times = defined([self.row["latency"].get("total", {}).get("p50_ms")])
        return times[0] if times else None

    @property
    def note(self) -> str:
        """Why there are no figures, or why they mean little."""
        if not self.there:
            return f"{self.row['status']}: {self.row['reason']}"
        return str(self.row["reason"])

    def figure(self, name: str, part: str = "figures") -> float:
        """A figure, NaN where it is undefined or not there."""
        value = self.row[part].get(name)
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Results:
    """All that a report shows: combinations, and the times of decoders by how many people an image has."""

    measured: list[Measured]
    people: list[Row]
    conditions: list[str]  # a line for what figures are of, and one a machine


def read_results(paths: Sequence[Path]) -> Results:
    """The results in some folders and files, in their order; ConfigError names what cannot be read."""
    measured: list[Measured] = []
    by_people: list[tuple[list[Row], str]] = []
    for path in paths:
        file = path if path.suffix == ".json" else path / "benchmark.json"
        result = _read(path, file)
        if result["name"] == _PEOPLE:
            by_people.append((result["rows"], f"time against people: {lines_of([provenance(result, {})])[0]}"))
        else:
            measured += [Measured(row, file.parent / row["folder"], provenance(result, row)) for row in result["rows"]]
    if len(by_people) > 1:
        raise ConfigError(f"results= has {len(by_people)} measurements of time against people; give one")
    people, where = by_people[0] if by_people else ([], "")
    counted = [one for one in measured if one.there] or measured
    conditions = [*_judged(counted), *lines_of(one.provenance for one in counted), *([where] if where else [])]
    return Results(_distinct(measured), people, conditions)


def _read(path: Path, file: Path) -> Result:
    if not file.is_file():
        raise ConfigError(f"results={path}: {'no such file' if path == file else 'no benchmark.json there'}; {_WANTED}")
    try:
        result: Result = all_printable(read_result(file))
    except OSError as error:
        raise ConfigError(f"results={path}: not readable ({of_system(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"results={path}: not a benchmark's result: {error}") from error
    if result["name"] == _COMBINATIONS and (lacking := _KEYS - result["rows"][0].keys()):
        raise ConfigError(f"results={path}: rows without {', '.join(sorted(lacking))}; {_WANTED}")
    if result["name"] not in (_COMBINATIONS, _PEOPLE):
        raise ConfigError(f"results={path}: a benchmark named {result['name']!r}, which no report shows; {_WANTED}")
    check = check_row if result["name"] == _COMBINATIONS else check_people
    for row in result["rows"]:
        try:
            check(row)
        except ConfigError as error:
            raise ConfigError(f"results={path}: {error}") from error
    return result


def _judged(measured: Sequence[Measured]) -> list[str]:
    """A line for each set of images, size and precision that combinations were judged at."""
    return list(dict.fromkeys(_conditions(one.row["judged"]) for one in measured if one.row.get("judged")))


def _conditions(judged: Row) -> str:
    images = f"{judged['images']} images of " if judged["images"] else ""
    scales = "" if list(judged["scales"]) == [1.0] else f" in {len(judged['scales'])} scales"
    flip = ", flip" if judged["flip"] else ""
    return f"AP of {images}{judged['data']}, {judged['split']}; {judged['input_size']} px{scales}{flip}, {judged['precision']}"


def _distinct(measured: list[Measured]) -> list[Measured]:
    """Combinations of equal names with their benchmarks' folders behind them, without what these have in common."""
    names = Counter(one.name for one in measured)
    folders = [one.folder.resolve().parent for one in measured]
    common = os.path.commonpath(folders) if folders else ""
    pairs = zip(measured, folders, strict=True)
    return [replace(one, origin=str(folder.relative_to(common))) if names[one.name] > 1 else one for one, folder in pairs]


def defined(values: Iterable[float | None]) -> list[float]:
    """Those of some values that are numbers."""
    return [value for value in values if value is not None and not math.isnan(value)]
