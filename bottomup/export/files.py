"""A predictor as a file that is complete by itself: ONNX, or a program of PyTorch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch.export import ExportedProgram

from bottomup.contracts import NORMALISATIONS
from bottomup.errors import ConfigError, unknown, warn
from bottomup.export.graph import INPUTS, fitting_grids, least_side, maps_of, program_of
from bottomup.export.translations import translations
from bottomup.grouping.kinds import KINDS
from bottomup.paths import path_of, written_whole
from bottomup.predictor import Predictor
from bottomup.runtime.contract import KEY, MAP, Contract

Format = Literal["onnx", "torch"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
RECORD = f"{KEY}.json"  # of a program of PyTorch: what the metadata of ONNX hold
_OPSET = 18


def export(
    predictor: Predictor,
    path: str | Path,
    format: Format = "onnx",
    sides: tuple[int, int] | None = None,
    maps: Sequence[str] = (),
) -> Path:
    """Write a predictor's network and decoder, whole or not at all; returns the path.

    "onnx" runs with ``bottomup.runtime``, "torch" is a program for ``torch.export.load``, which after
    ``import bottomup.ops.padded_nms`` knows all its operators. Both take images (B, 3, H, W) uint8 RGB, letterboxed, and their
    content (B, 4), of any batch, height and width that the grids fit, or of ``sides`` (H, W) alone, and give
    ``Decoder.tensors``, and those ``maps`` of the network that are named ("heatmap"; ``graph.maps_of`` says which there are) as
    outputs ``maps.heatmap``. ConfigError where the predictor sees several views of an image, and for what cannot be exported.
    """
    if format not in get_args(Format):
        raise ConfigError("format: " + unknown("format", str(format), list(get_args(Format))))
    _check_views(predictor)
    if type(predictor.decoder.grouping).__name__ not in KINDS:
        raise ConfigError(f"export: decoder {type(predictor.decoder).__name__} has no sequential part that runs without PyTorch")
    with quiet():
        program = program_of(predictor.model, predictor.decoder, sides, maps)
    return write(program, contract_of(predictor, program, sides), path, format)


def write(program: ExportedProgram, contract: Contract, path: str | Path, format: Format = "onnx") -> Path:
    """Write a graph with what the file is to say of itself, whole or not at all; returns the path."""
    target, record = path_of(path), contract.to_json()
    with quiet():
        return _write_onnx(program, record, target) if format == "onnx" else _write_program(program, record, target)


def contract_of(predictor: Predictor, program: ExportedProgram, sides: tuple[int, int] | None) -> Contract:
    """What a file of a predictor says of itself."""
    model, decoder = predictor.model, predictor.decoder
    normalisation = NORMALISATIONS["none"] if model.backbone is None else model.backbone.normalisation
    red, green, blue = model.fill.tolist()
    assert decoder.grouping is not None  # a decoder without is refused
    outputs = names_of(program)
    maps = [name.removeprefix(MAP) for name in outputs if name.startswith(MAP)]
    return Contract(
        skeleton=predictor.skeleton,
        categories=model.task.categories,
        decoder=type(decoder).__module__.rpartition(".")[2],
        grouping=decoder.grouping,
        grids=model.grids,
        outputs=tuple(name for name in outputs if not name.startswith(MAP)),
        maps={name: maps_of(model)[name] for name in maps},
        input_size=predictor.input_size,
        side=predictor.side,
        fits=fitting_grids(model),
        least=least_side(model) if sides is None else 1,
        sides=sides,
        fill=(red, green, blue),
        mean=normalisation.mean,
        std=normalisation.std,
        thresholds=predictor.thresholds,
    )


def names_of(program: ExportedProgram) -> tuple[str, ...]:
    """The names of what a program gives, in its order."""
    spec = program.call_spec.out_spec
    assert spec is not None and isinstance(spec.context, list)  # of a dictionary its keys
    return tuple(spec.context)


def _check_views(predictor: Predictor) -> None:
    """Refuse what a graph, which sees an image once, cannot do."""
    if predictor.flip or tuple(predictor.scales) != (1.0,):
        raise ConfigError(
            f"export: a graph sees an image once, this predictor sees it {predictor.views}; leave flip and scales out"
        )
    if predictor.views.head_scales:
        warn(f"a graph sees an image once: head_scales={dict(predictor.views.head_scales)} of this model does not enter it")


def _write_onnx(program: ExportedProgram, record: str, path: Path) -> Path:
    try:
        import onnx
        import onnxscript  # noqa: F401  # which the exporter needs
    except ModuleNotFoundError as error:
        raise ConfigError(f"format=onnx needs {error.name}; pip install 'bottomup[export]'") from error
    made = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=_OPSET,
        custom_translation_table=translations(),
        input_names=list(INPUTS),
        output_names=list(names_of(program)),
        verbose=False,
    )
    assert made is not None
    proto = made.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, record
    with written_whole(path) as file:
        file.write(onnx.ModelProto.SerializeToString(proto))
    return path


def _write_program(program: ExportedProgram, record: str, path: Path) -> Path:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={RECORD: record})
    with written_whole(path) as file:
        file.write(buffer.getvalue())
    return path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back what PyTorch and onnxscript tell of their own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torch\..*|onnxscript\..*|onnx_ir\..*|copyreg")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
