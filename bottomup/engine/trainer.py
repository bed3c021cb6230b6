"""The one training loop; read ``Trainer.fit``."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bottomup.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint, versions
from bottomup.engine.distributed import Ranks
from bottomup.engine.figures import FigureWatch
from bottomup.engine.gradients import features_of, gradient_shares
from bottomup.engine.interruption import Interruption, LossWatch, check_weights
from bottomup.engine.log import Log
from bottomup.engine.objective import Losses, forward_losses, mean_figures
from bottomup.engine.optim import resume_optimiser, resume_schedule, set_rates
from bottomup.engine.resuming import checked_random_state, random_state, restore_random_state, taking_over
from bottomup.engine.settings import Settings, Validation
from bottomup.errors import CheckpointError, ConfigError, InterruptedRunError, TrainingError, unknown
from bottomup.model import PoseModel
from bottomup.paths import path_of
from bottomup.precision import PRECISIONS
from bottomup.types import Batch


class Trainer:
    """Trains a PoseModel.

    ``batches(first_step)`` gives endless micro-batches of this rank from a step on; ``validate(model)`` judges a model in
    evaluation mode; ``given`` names heads whose ideal outputs are given; hooks ``on_step(trainer, figures)`` and
    ``on_validate(trainer, metrics)`` are called on the first rank. ``config`` goes into the checkpoints.
    """

    def __init__(
        self,
        model: PoseModel,
        batches: Callable[[int], Iterator[Batch]],
        settings: Settings,
        output: str | Path,
        *,
        config: Mapping[str, object] | None = None,
        validate: Callable[[PoseModel], Validation] | None = None,
        given: tuple[str, ...] = (),
        ranks: Ranks | None = None,
        on_step: Callable[[Trainer, dict[str, float]], None] | None = None,
        on_validate: Callable[[Trainer, dict[str, float]], None] | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self.settings, self.output, self.config = settings.on(self.ranks.device), path_of(output), dict(config or {})
        self.batches, self.validate, self.given = batches, validate, given
        self.on_step, self.on_validate = on_step, on_validate
        self.model = model.to(self.ranks.device)
        if settings.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.settings.micro_batch(self.ranks.world)  # refuses what does not divide
        self.optimiser = settings.optimiser.over(self.model)
        self.schedule, self.factor = settings.schedule.over(self.optimiser, settings.steps)
        self.average = settings.average.over(self.model) if settings.average else None
        self.scaler = torch.amp.GradScaler(self.ranks.device.type, enabled=self.settings.precision == "fp16")
        self.step = 0
        self.best: float | None = None
        self.best_step = 0
        self.last_metrics: dict[str, float] = {}
        self.interruption, self.watch = Interruption(), LossWatch(self.output, self.ranks.rank)
        self.figures = FigureWatch(self.model, settings.steps)
        self.forward = self._forward()

    def _forward(self) -> nn.Module:
        """The model as it is called in training: compiled, then wrapped for several ranks."""
        model: nn.Module = self.model
        if self.settings.compile:
            model = torch.compile(model)  # type: ignore[assignment]
        if self.ranks.world > 1:
            device = [self.ranks.device] if self.ranks.device.type == "cuda" else None
            model = nn.parallel.DistributedDataParallel(model, device_ids=device)
        return model

    # ---- the loop ------------------------------------------------------------------------------------------------------

    def fit(self) -> dict[str, float]:
        """Train to the last step; return the last validation's figures.

        Ctrl-C and SIGTERM end with a checkpoint and InterruptedRunError, a second Ctrl-C with InterruptedRunError at once.
        """
        batches = self.batches(self.step)
        if self._resumed_rng is not None:  # after the workers' start, which draws a number
            restore_random_state(self._resumed_rng, self.ranks.device)
        log = Log(self.output, self.step, self.settings.steps, self.settings.tensorboard) if self.ranks.first else None
        try:
            with self.interruption.caught():
                while not self.finished:
                    self._advance(batches, log)
                    if self._due(self.settings.validate_every) or (self.validate and self.step == self.settings.steps):
                        self._check_weights()
                        self._run_validation(log)
                    stop = self._should_stop()
                    if stop or self._due(self.settings.checkpoint_every) or self.finished:
                        self._check_weights()
                        self.save("last.pt")
                    if stop:
                        raise InterruptedRunError(
                            f"interrupted at step {self.step}; continue with resume=true output={self.output}"
                        )
            self.watch.check()
        except (KeyboardInterrupt, RuntimeError) as error:  # a write that is cut short, or a worker's death, is a RuntimeError
            if isinstance(error, TrainingError) or not self.interruption.asked:
                raise
            saved = f"resume=true output={self.output} goes on from its last checkpoint, if there was one"
            raise InterruptedRunError(f"interrupted at once, at step {self.step}; {saved}") from error
        finally:
            if log is not None:
                log.close()
        return self.last_metrics

    def _advance(self, batches: Iterator[Batch], log: Log | None) -> None:
        """One optimiser step."""
        began = self._now(self._reported(self.step + 1))
        self.model.train()
        parts = [
            self._backward(next(batches), last=part == self.settings.accumulate - 1) for part in range(self.settings.accumulate)
        ]
        if self.settings.clip is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], self.settings.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.schedule.step()
        self.step += 1
        if self.average is not None and self.step > self.settings.average_from:
            self.average.update_parameters(self.model)
        self._report(parts, began, log)

    def _backward(self, batch: Batch, last: bool) -> Losses:
        """Forward and backward of one micro-batch; ranks exchange gradients with the last."""
        batch = batch.to(self.ranks.device)
        if batch.images is not None and self.settings.channels_last:
            batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        waits = isinstance(self.forward, nn.parallel.DistributedDataParallel) and not last
        with self.forward.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
            losses = self._losses(batch)
            self.watch(losses, batch, self.step)
            self.scaler.scale(losses.total.mean() / self.settings.accumulate).backward()
        return losses

    def _losses(self, batch: Batch) -> Losses:
        """The losses of a batch; in a step that is reported with each head's share of the gradient among its figures.

        Not of a compiled model, whose features and heads are one piece.
        """
        precision, backbone = PRECISIONS[self.settings.precision], self.model.backbone
        if backbone is None or self.settings.compile or not self._reported(self.step + 1):
            return forward_losses(self.model, batch, self.given, precision, self.forward)
        with features_of(backbone) as features:
            losses = forward_losses(self.model, batch, self.given, precision, self.forward)
        shares = gradient_shares(losses.heads, features)
        figures = {f"{name}/gradient_share": share.expand(len(batch)) for name, share in shares.items()}
        return replace(losses, metrics=losses.metrics | figures)

    def _report(self, parts: list[Losses], began: float, log: Log | None) -> None:
        reported = self._reported(self.step)
        rate = self.settings.batch_size / (self._now(reported) - began)
        figures = None
        if reported:
            self.watch.check()
            figures = self._figures(parts) | {"lr": self.optimiser.param_groups[0]["lr"], "images_per_second": rate}
        if log is not None:
            log.advance(self.step, rate, figures["loss"] if figures else None)
            if figures:
                log.scalars(self.step, figures)
                self.figures(self.step, figures)
                if self.on_step:
                    self.on_step(self, figures)

    def _reported(self, step: int) -> bool:
        return step == 1 or (self.settings.log_every > 0 and step % self.settings.log_every == 0)

    def _now(self, reported: bool) -> float:
        """Seconds of a clock; around a step that is reported only once a CUDA device has done all that it was given."""
        if reported and self.ranks.device.type == "cuda":
            torch.cuda.synchronize(self.ranks.device)
        return time.perf_counter()

    def _figures(self, parts: list[Losses]) -> dict[str, float]:
        """The mean of losses and metrics over the images of all parts and ranks."""
        columns = mean_figures(parts)
        means = self.ranks.mean(torch.stack(list(columns.values())))
        return dict(zip(columns, means.tolist(), strict=True))

    # ---- stopping -----------------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or ``stop_after`` validations in a row brought nothing better."""
        return self.step >= self.settings.steps or self.factor.stale >= (self.settings.stop_after or math.inf)

    def _should_stop(self) -> bool:
        if self.ranks.world == 1:
            return self.interruption.asked
        return self._due(10) and self.ranks.any(self.interruption.asked)  # ranks must agree, but need not ask at every step

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    # ---- validation and checkpoints ------------------------------------------------------------------------------------

    def _check_weights(self) -> None:
        """Raise TrainingError for a loss or weights that are not finite: nothing is judged by such, and no file gets them."""
        self.watch.check()
        check_weights((self.model, self.averaged), self.step, self.output)

    @property
    def averaged(self) -> PoseModel:
        """The averaged model where there is one, else the model."""
        if self.average is not None and int(self.average.n_averaged) > 0:
            module = self.average.module
            assert isinstance(module, PoseModel)
            return module
        return self.model

    def _run_validation(self, log: Log | None) -> None:
        """Judge together; the first rank has the figures."""
        if self.validate is None:
            return
        with torch.no_grad():
            found = self.validate(self.averaged.eval())
        if self.ranks.first and log is not None:
            self.last_metrics = found.metrics
            log.scalars(self.step, {f"val/{name}": value for name, value in found.metrics.items()})
            log.pictures(self.step, found.pictures)
            log.say(f"step {self.step}: " + ", ".join(f"{name} {value:.4g}" for name, value in list(found.metrics.items())[:6]))
            self._keep_best(found.metrics)
            if self.on_validate:
                self.on_validate(self, found.metrics)
            if self.finished and self.step < self.settings.steps:
                log.say(f"step {self.step}: {self.factor.stale} validations brought no better {self.settings.best}; the run ends")
        self._share_plateau()

    def _keep_best(self, metrics: Mapping[str, float]) -> None:
        """Keep the weights of the best figure so far, and let the schedule know of it."""
        if self.settings.best not in metrics:
            raise ConfigError("engine.best: " + unknown("figure of this validation", self.settings.best, list(metrics)))
        figure, sign = metrics[self.settings.best], -1 if self.settings.best_is_least else 1
        if self.best is None or math.isnan(self.best) or sign * figure > sign * self.best:  # not a number: kept until there is one
            self.best, self.best_step = figure, self.step
            self.save("best.pt", training=False)
        self.factor.observe(sign * figure)

    def _share_plateau(self) -> None:
        """Give all ranks what the first one knows of the plateau, and set the learning rates of the next step by it."""
        if self.ranks.world > 1:
            state = [self.factor.__dict__]
            torch.distributed.broadcast_object_list(state, src=0)
            self.factor.__dict__.update(state[0])
        set_rates(self.schedule, self.factor)

    def save(self, name: str, training: bool = True) -> None:
        """Write a checkpoint on the first rank; ``training`` adds what resuming needs, of all ranks, which then must all call."""
        random = self.ranks.gather(random_state(self.ranks.device)) if training else []
        if not self.ranks.first:
            return
        self.watch.check()
        averaged = self.averaged
        checkpoint = Checkpoint(
            config=self.config,
            task=self.model.task,
            model=self.model.state_dict(),
            average=averaged.state_dict() if averaged is not self.model else None,
            training=self._training_state(random) if training else None,
            versions=versions(),
        )
        save_checkpoint(self.output / name, checkpoint)

    def _training_state(self, random: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
        return {
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average_count": int(self.average.n_averaged) if self.average is not None else 0,
            "random": random,
            "progress": {
                "step": self.step,
                "best": self.best,
                "best_of": self.settings.best,
                "best_step": self.best_step,
                "last_metrics": self.last_metrics,
            },
        }

    _resumed_rng: dict[str, torch.Tensor] | None = None

    def resume(self, path: str | Path) -> None:
        """Go on from a checkpoint exactly: model, optimiser, schedule, scaler, average, random state, position.

        What was configured anew since, such as ``steps`` or the learning rate, holds from here on.
        """
        checkpoint = load_checkpoint(path)
        state = checkpoint.training
        if state is None:
            raise CheckpointError(f"{path} holds weights alone; resume from last.pt, or start anew with init={path}")
        load_weights(self.model, checkpoint.model, str(path))
        with taking_over(path):
            self._go_on(state)
        if self.average is not None:
            self.average.n_averaged.fill_(state["average_count"])
            load_weights(self.average.module, checkpoint.average or checkpoint.model, str(path))

    def _go_on(self, state: dict[str, Any]) -> None:
        """Take over the state of a training, all but its weights."""
        resume_optimiser(self.optimiser, state["optimiser"])
        resume_schedule(self.schedule, self.factor, state["schedule"])
        if state["scaler"]:  # without, the run was in another precision: gradients are scaled from here on
            self.scaler.load_state_dict(state["scaler"])
        progress = state["progress"]
        self.step, self.best, self.best_step = int(progress["step"]), progress["best"], int(progress["best_step"])
        self.last_metrics = dict(progress["last_metrics"])
        if self.step < 0 or not isinstance(self.best, int | float | None) or state["average_count"] < 0:
            raise ValueError(f"step {self.step}, best {self.best!r}")
        if progress.get("best_of", self.settings.best) != self.settings.best:  # figures of two kinds do not compare
            self.best, self.best_step = None, 0
            self.factor.forget()
        if self.ranks.rank < len(state["random"]):  # a rank that was not there before goes on from its seed
            self._resumed_rng = checked_random_state(state["random"][self.ranks.rank])
