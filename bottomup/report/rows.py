"""What `bottomup benchmark` wrote, read back: a row of figures a combination, and where its pictures lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bottomup.benchmark.results import read_result
from bottomup.errors import ConfigError

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One combination."""

    row: Row
    folder: Path  # of its pictures
    setting: str  # where it was measured, and with which code

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.row["name"])

    @property
    def there(self) -> bool:
        """Whether there are figures of it."""
        return bool(self.row["status"] == "measured")

    @property
    def milliseconds(self) -> float | None:
        """The median time of one image, from pixels to people."""
        total = self.row["latency"].get("total")
        return float(total["p50_ms"]) if total else None

    @property
    def note(self) -> str:
        """Why there are no figures, or why they mean little."""
        if not self.there:
            return f"{self.row['status']}: {self.row['reason']}"
        training = self.row["training"]
        return "not trained: its loss has not halved" if training and not training["learned"] else ""


def read_rows(folders: Sequence[Path]) -> list[Measured]:
    """The combinations of some benchmarks, in their order; ConfigError names a folder that holds none."""
    found = []
    for folder in folders:
        table = folder / "benchmark.json"
        if not table.is_file():
            raise ConfigError(f"results={folder}: no benchmark.json there; give the output= folder of bottomup benchmark")
        result = read_result(table)
        setting = (
            f"{result['device']}, {result['threads']} threads, torch {result['versions']['torch']}, commit {result['commit'][:12]}"
        )
        found += [Measured(row, folder / row["folder"], setting) for row in result["rows"]]
    return found
