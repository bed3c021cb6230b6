"""The keys that commands read themselves, with what their values may be; what stands in a component's part is its constructor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict

from bottomup.crops import Crops
from bottomup.options import BelowOne, Count, FromZero, Interval, Natural, Positive, resolved
from bottomup.plan.groups import Imputing, Judging, Measuring, Refining, Validating

_Options = Mapping[str, Any]


class Configuration(TypedDict, total=False):
    """The keys of all commands; one key means the same in each."""

    show: bool
    matrix: str | None
    retime: bool
    output: str | int | None
    seed: Natural
    seeds: Count
    device: str | None
    workers: Natural
    limit: Count | None
    resume: bool
    overwrite: bool
    train: bool
    init: str | Sequence[str] | None
    weights: str | Sequence[str] | None
    images: str | None
    format: Literal["onnx", "torch"]
    sides: tuple[Count, Count] | None
    hover: Sequence[str]
    stored_as: Literal["int20", "float32"]
    onnxruntime_web: str | None
    camera: Natural | None
    frame_rate: Positive | None
    smooth: bool
    tracker: _Options
    orientation: Literal["stored", "upright"] | None
    bit_depth: Annotated[int, Interval(8, 16)] | None
    annotations: str | None
    image_info: str | None
    score_threshold: BelowOne | None
    keypoint_threshold: BelowOne | None
    on_error: Literal["raise", "skip"]
    results: str | Sequence[str] | None
    title: str | int
    input_size: Count
    side: Literal["long", "short", "square", "native"]
    scales: Sequence[Positive]
    head_scales: Mapping[str, Sequence[Positive]]
    flip: bool
    views: Literal["maps", "instances", "oks_nms"]
    crops: Crops | None
    votes: Sequence[FromZero] | None
    batch_size: Count
    precision: Literal["fp32", "bf16", "fp16"]
    max_people: Count
    pictures: Natural
    draw: bool
    maps: bool
    learning_rates: Sequence[Positive] | None
    learning_rate_steps: Count | None
    trained: Sequence[str] | None
    given: Sequence[str]
    freeze: Sequence[str]
    oracle: Sequence[str]
    method: str | None
    backbone: _Options | None
    necks: Mapping[str, _Options]
    heads: Mapping[str, _Options | None]
    decoder: _Options | None
    data: _Options
    augment: _Options
    engine: _Options
    stages: Mapping[str, _Options | None] | None
    validation: Validating
    refine: Refining
    impute: Imputing
    judge: Judging
    measure: Measuring


_OF_COMMAND: Mapping[str, Mapping[str, Any]] = {"predict": {"format": Literal["coco", "jsonl", "parquet"]}}


def kinds_of(command: str) -> dict[str, Any]:
    """What the values of keys may be; of a file's form, what this command writes."""
    return resolved(Configuration) | dict(_OF_COMMAND.get(command, {}))


class Loading(TypedDict, total=False):
    """The options of ``data`` that are not the data set's own: which of its images are drawn, and as what."""

    train_split: str | int | None
    val_split: str | int | None
    train_only_people: bool | str | None
    max_people: Count | None
    min_people: Natural | None
    keep: bool | None
    unit: str | None
    min_keypoints: Natural | None
    curriculum: bool | None
    together: Count | None


class StageOptions(TypedDict, total=False):
    """The options of one of ``stages`` that are not a training's own."""

    after: Sequence[str] | None  # earlier stages whose best weights it starts from
    takes: Sequence[str] | None  # the typed keys that hold for it, too; None: all
