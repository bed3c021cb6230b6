"""The card: one that is not there, and, where there is one, a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import pytest
import torch
from torch import nn

from tests.gpu_path.fake_card import fake_card


class Card(Protocol):
    """A CUDA device that tells when the host waits for it."""

    device: torch.device

    def adopt(self, module: nn.Module) -> None:
        """Take note of a module that is on the card, before it is trained."""

    def quiet(self) -> contextlib.AbstractContextManager[None]:
        """Nothing in this context may wait."""


class RealCard:
    """torch's own watch over waits."""

    device = torch.device("cuda:0")

    def adopt(self, module: nn.Module) -> None:
        """There is nothing to note."""

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Waits raise."""
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def card(request: pytest.FixtureRequest) -> Iterator[Card]:
    if request.param == "real":
        yield RealCard()
    elif torch.cuda.is_available():
        pytest.skip("the real card is there")
    else:
        with fake_card() as fake:
            yield fake
