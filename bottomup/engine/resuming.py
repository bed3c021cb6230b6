"""What a run that goes on takes over beside its weights: random numbers, and a state that may have been changed since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from bottomup.errors import BottomupError, CheckpointError

RandomState = dict[str, torch.Tensor]


def random_state(device: torch.device) -> RandomState:
    """The state of all random numbers that a step draws."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: RandomState, device: torch.device) -> None:
    """Go on with the random numbers of ``random_state``."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def checked_random_state(state: RandomState) -> RandomState:
    """A state that is one, before the loop begins; RuntimeError or TypeError for what is none."""
    torch.Generator().set_state(state["cpu"])
    return state


@contextlib.contextmanager
def taking_over(path: str | Path) -> Iterator[None]:
    """Say of a state that cannot be taken over, as another program changed it, which file it is of: CheckpointError."""
    try:
        yield
    except BottomupError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the state of its training is not whole ({type(error).__name__}: {error}); start anew with init={path}"
        ) from error
