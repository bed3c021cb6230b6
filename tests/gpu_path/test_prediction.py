"""Views and decoders on a GPU: nothing waits for it but the one transfer of what is found."""

from __future__ import annotations

import copy

import pytest
import torch

from bottomup.contracts import Decoder
from bottomup.model import PoseModel
from bottomup.types import Batch, Frame, Outputs
from bottomup.views import Views
from tests.gpu_path.cells import batch_for, cells, composed
from tests.gpu_path.conftest import Card
from tests.gpu_path.fake_card import FakeCard


def ready(cell: tuple[str, ...], card: Card) -> tuple[PoseModel, Decoder, Batch, list[str]]:
    """A cell's model as a predictor has it, its decoder, a batch, and the heads whose ideal outputs are given, on the card."""
    model, decoder, given = composed(cell)
    moved = copy.deepcopy(model).to(card.device).to(memory_format=torch.channels_last).eval()
    return moved, decoder, batch_for(model).to(card.device), list(given)


@torch.no_grad()
@pytest.mark.parametrize("cell", cells())
def test_what_is_seen_and_decoded_waits_once(cell: tuple[str, ...], card: Card) -> None:
    """Two scales and their mirrored views merged, and the decoder's parallel part; then one transfer."""
    model, decoder, batch, oracle = ready(cell, card)
    views = Views(model=model, scales=(1.0, 0.5), flip=True, precision="bf16")
    with card.quiet():
        ((outputs, frame),) = views.seen(batch, oracle)
        tensors = decoder.tensors(outputs, frame)
    assert all(tensor.device == card.device for tensor in tensors.values())
    assert _waits_of_decoding(decoder, outputs, frame, card) == 1


def _waits_of_decoding(decoder: Decoder, outputs: Outputs, frame: Frame, card: Card) -> int:
    before = len(card.waits) if isinstance(card, FakeCard) else 0
    predictions = decoder(outputs, frame)
    assert len(predictions) == len(frame.content)
    return len(card.waits) - before if isinstance(card, FakeCard) else 1
