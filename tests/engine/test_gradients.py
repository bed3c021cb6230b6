"""Each head's share of the gradient that enters the backbone, as training reports it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bottomup.engine.gradients import features_of, gradient_shares
from bottomup.engine.objective import forward_losses
from tests.engine.runs import make_trainer

PLAIN = {"steps": 4, "validate_every": 0, "accumulate": 1, "schedule": {"name": "constant"}}


def test_shares_are_of_the_gradient_that_backward_brings_to_the_features(tmp_path: Path) -> None:
    """With one head's loss alone, backward's gradient at the features is that head's; its norm gives the share."""
    trainer = make_trainer(tmp_path, **PLAIN)
    model, batch = trainer.model, next(trainer.batches(0))
    assert model.backbone is not None

    def losses() -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        assert model.backbone is not None
        with features_of(model.backbone) as features:
            return forward_losses(model, batch, (), torch.float32).heads, features

    norms = {}
    for name in model.trained:
        heads, features = losses()
        for maps in features:
            maps.retain_grad()
        heads[name].mean().backward()
        norms[name] = torch.stack([maps.grad.square().sum() for maps in features if maps.grad is not None]).sum().sqrt()
    shares = gradient_shares(*losses())
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares == pytest.approx({name: float(norm / sum(norms.values())) for name, norm in norms.items()}, rel=1e-4)


def test_a_heavier_loss_has_a_greater_share(tmp_path: Path) -> None:
    def share(weight: float) -> float:
        trainer = make_trainer(tmp_path / str(weight), **PLAIN, log_every=1)
        trainer.model.stack("heatmap").weight = weight
        trainer.fit()
        first = json.loads((tmp_path / str(weight) / "log.jsonl").read_text().splitlines()[0])
        assert first["heatmap/gradient_share"] + first["tags/gradient_share"] == pytest.approx(1.0)
        return float(first["heatmap/gradient_share"])

    assert 0 < share(0.1) < share(1.0) < share(10.0) < 1


def test_reporting_changes_no_step(tmp_path: Path) -> None:
    weights = []
    for every in (1, 3):
        trainer = make_trainer(tmp_path / str(every), **PLAIN, log_every=every)
        trainer.fit()
        weights.append(trainer.model.state_dict())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_nothing_is_shared_below_what_is_frozen(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, backbone="untrained", **(PLAIN | {"steps": 1}), log_every=1)
    trainer.model.backbone.requires_grad_(False)  # type: ignore[union-attr]
    trainer.fit()
    assert not any("gradient_share" in line for line in (tmp_path / "log.jsonl").read_text().splitlines())
