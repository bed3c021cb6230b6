"""A trained model by one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.engine.checkpoint import load_checkpoint, load_needed
from bottomup.errors import ConfigError
from bottomup.plan.files import available
from bottomup.plan.predicting import predict_plan
from bottomup.predictor import Predictor
from bottomup.registry import unknown


def load(method: str, *, weights: str | Path, overrides: Sequence[str] = (), device: str = "cpu", **options: Any) -> Predictor:
    """A ready predictor: ``load("associative_embedding", weights="best.pt")("photo.jpg").instances.keypoints``.

    ``weights`` is a checkpoint of a training run; ``overrides`` are Hydra overrides of its configuration; other options go to
    the Predictor (flip, scales, batch_size, score_threshold, …), which predicts who scores as much as the decoder recommends.
    Raises ConfigError for an unknown method, CheckpointError for a bad file.
    """
    if method not in available():
        raise ConfigError(unknown("method", method, available()))
    checkpoint = load_checkpoint(weights)
    said = [f"method={method}", *overrides]
    plan = predict_plan(said).model.of_checkpoint(checkpoint.config, said).without_pretraining()
    model, decoder = plan.compose(checkpoint.task)
    load_needed(model, checkpoint.weights, str(weights))
    entering: dict[str, Any] = {"input_size": plan.input_size, "side": plan.side, "head_scales": plan.head_scales}
    return Predictor(model, decoder, device=device, **entering | options)
