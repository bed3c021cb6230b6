"""A trained model by one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bottomup.compose import available, compose_model, load_config, merge_overrides, without_pretraining
from bottomup.engine.checkpoint import load_checkpoint, load_needed
from bottomup.errors import ConfigError
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
    composed = load_config("predict", [f"method={method}", *overrides])
    config = merge_overrides(checkpoint.config, composed, [f"method={method}", *overrides])
    model, decoder = compose_model(without_pretraining(config), checkpoint.task)
    load_needed(model, checkpoint.weights, str(weights))
    of_the_model = {key: config[key] for key in ("input_size", "side", "head_scales") if key in config}
    return Predictor(model, decoder, device=device, **of_the_model | options)
