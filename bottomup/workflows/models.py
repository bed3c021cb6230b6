"""The model that a plan and a checkpoint make together, ready to predict."""

from __future__ import annotations

from collections.abc import Sequence

from bottomup.checkpoint import Checkpoint, load_checkpoint, load_needed
from bottomup.errors import ConfigError, unknown
from bottomup.model import PoseModel
from bottomup.options import made
from bottomup.plan.groups import Refining
from bottomup.plan.model import ModelPlan
from bottomup.plan.parts import Viewing
from bottomup.precision import Precision
from bottomup.predictor import Predictor
from bottomup.refine import Refiner
from bottomup.types import Task
from bottomup.zoo.weights import checkpoint_file

_CROPS = 32  # at once, which bounds the memory that people of an image take


def with_checkpoint(model: ModelPlan, weights: str | None, overrides: Sequence[str]) -> tuple[ModelPlan, Checkpoint | None]:
    """The checkpoint that ``weights`` names, a file or a network of the zoo, and the model that holds with it.

    That is its own, with the command line on top.
    """
    if not weights:
        return model, None
    checkpoint = load_checkpoint(checkpoint_file(weights))
    return model.of_checkpoint(checkpoint.config, overrides), checkpoint


def make_predictor(
    model: ModelPlan, viewing: Viewing, device: str, checkpoint: Checkpoint | None, task: Task, weights: str | None = None
) -> Predictor:
    """The predictor of a checkpoint, whose file ``weights`` is named in errors; without one, of an untrained model."""
    if checkpoint is None:
        built, decoder = model.compose(task)
    else:
        built, decoder = model.without_pretraining().compose(checkpoint.task)
        load_needed(built, checkpoint.weights, str(weights))
    return Predictor(
        built,
        decoder,
        input_size=model.input_size,
        side=model.side,
        scales=viewing.scales,
        head_scales=model.head_scales,
        flip=viewing.flip,
        views=viewing.views,
        batch_size=viewing.batch_size,
        precision=viewing.precision,
        device=device,
        orientation=viewing.orientation or "upright",
        bit_depth=viewing.bit_depth,
        score_threshold=viewing.score_threshold,
        keypoint_threshold=viewing.keypoint_threshold,
        refine=make_refiner(viewing.refine, viewing, device),
    )


def make_refiner(plan: Refining, viewing: Viewing, device: str) -> Refiner | None:
    """What refines poses as planned, its network run as other ones are viewed; None where nothing does."""
    if plan.weights is None:
        return None
    network = make_network(plan.weights, plan.sizes, viewing.precision, device)
    options = {name: value for name, value in plan.plain().items() if name not in ("weights", "sizes")}
    return made(Refiner, network, options=options)


def make_network(weights: str, sizes: Sequence[float], precision: Precision, device: str) -> Predictor:
    """The single-person network of a checkpoint, or of the zoo, that sees crops at ``sizes`` of its own input size.

    ConfigError for a checkpoint whose decoder finds several people.
    """
    checkpoint = load_checkpoint(checkpoint_file(weights))
    model = ModelPlan.of(checkpoint.config)
    if model.decoder is None or model.decoder.name != "single_person":
        raise ConfigError(f"{weights} finds several people in an image; give a checkpoint of method=single_person")
    of_crops = Viewing(scales=tuple(sizes), batch_size=_CROPS, precision=precision)
    return make_predictor(model, of_crops, device, checkpoint, checkpoint.task, weights)


def seen(predictor: Predictor) -> str:
    """How a predictor sees images, as figures are told of: "513 px", with its views where there are several."""
    side = "" if predictor.side == "long" else f" {predictor.side}"
    scales = f", scales {', '.join(f'{scale:g}' for scale in predictor.scales)}" if len(predictor.scales) > 1 else ""
    flip, refined = ", mirrored too" if predictor.flip else "", ", refined" if predictor.refine is not None else ""
    return f"{predictor.input_size} px{side}{scales}{flip}{refined}"


def check_oracle(model: PoseModel, oracle: Sequence[str]) -> None:
    """Raise ConfigError where ``oracle`` names a head that the model does not have."""
    for name in oracle:
        if name not in model.heads:
            raise ConfigError("oracle: " + unknown("head of this model", name, list(model.heads)))
