"""How long fuzzing takes: seconds with all tests, minutes with ``BOTTOMUP_FUZZ=1000``, so many cases of each (``make fuzz``).

``BOTTOMUP_FUZZED=benchmarks/results/fuzz.json`` is where the counts go then.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from bottomup.benchmark.results import write_result
from tests.fuzz.outcomes import COUNTS, table

_CASES = int(os.environ.get("BOTTOMUP_FUZZ", "0"))  # of each test; 0: few, and the same each time
_FEW = 25

settings.register_profile(
    "bottomup",
    max_examples=_CASES or _FEW,
    derandomize=not _CASES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("bottomup")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases ended how."""
    for line in table():
        terminalreporter.write_line(f"fuzzed {line}")
    file = os.environ.get("BOTTOMUP_FUZZED")
    if file and COUNTS:
        rows = [{"name": kind, "read": counts["read"], "refused": counts["refused"]} for kind, counts in sorted(COUNTS.items())]
        write_result(file, "fuzz", {"cases": _CASES, "failed": len(terminalreporter.stats.get("failed", []))}, rows)
