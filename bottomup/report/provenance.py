"""Where and when something was measured, and with which code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bottomup.benchmark.results import Result, Row

_SHORT = 12  # digits of a commit
_DAY = len("2026-01-01")


@dataclass(frozen=True)
class Provenance:
    """Of one measurement: the machine, the commit and the day."""

    machine: str
    commit: str
    day: str


def provenance(result: Result, row: Row) -> Provenance:
    """What a row says of itself, and its file's header where it says nothing; versions are the header's, of its device alone."""
    own = row if "commit" in row else result  # older rows have a device, too, but only as torch calls it
    machine, threads = own["device"], own.get("threads")
    machine += f", {threads} thread{'s' if threads > 1 else ''}" if threads else ""
    machine += f", torch {result['versions'].get('torch', '?')}" if own["device"] == result["device"] else ""
    commit, dash, state = own["commit"].partition("-")
    return Provenance(machine, commit[:_SHORT] + dash + state, own["date"][:_DAY])


def lines_of(measurements: Iterable[Provenance]) -> list[str]:
    """A line for each machine, with its commits and the days from the first to the last."""
    machines: defaultdict[str, list[Provenance]] = defaultdict(list)
    for one in measurements:
        machines[one.machine].append(one)
    return [_line(machine, own) for machine, own in machines.items()]


def _line(machine: str, own: list[Provenance]) -> str:
    commits = list(dict.fromkeys(one.commit for one in own))
    days = sorted({one.day for one in own})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{machine}: commit{'s' if len(commits) > 1 else ''} {', '.join(commits)} ({span})"
