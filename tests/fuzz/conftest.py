"""How long fuzzing takes: seconds with all tests, BOTTOMUP_FUZZ=long (``make fuzz``) for ten thousand cases."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.outcomes import table

_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("quick", max_examples=25, derandomize=True, database=None, **_COMMON)
settings.register_profile("long", max_examples=2000, **_COMMON)
settings.load_profile(os.environ.get("BOTTOMUP_FUZZ", "quick"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases ended how."""
    for line in table():
        terminalreporter.write_line(f"fuzzed {line}")
