"""The folder that a run writes into: what it may hold already, and its configuration."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bottomup.errors import CheckpointError, ConfigError, OutputError, of_system
from bottomup.paths import clear_partials, write_text

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

LAST = "last.pt"  # of a training run: what resume=true goes on from
BEST = "best.pt"

_OF_TRAINING = (LAST, BEST, "log.jsonl")
_FREE = ("output", "workers", "device", "format", "resume", "overwrite")  # by which what is found is the same
_OF_PREDICTION = (
    "parts", "predictions.json", "predictions.jsonl", "predictions.parquet", "tracks.jsonl", "posetrack.json", "video.mp4",
    "metrics.json", "config.yaml", "pictures",
)  # fmt: skip


def check_training_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to train into a folder that holds something else, or over an earlier run unless asked to, or on from nothing."""
    if resume and overwrite:
        raise ConfigError("resume=true goes on with a run and overwrite=true replaces it; give one of them")
    if resume and not (folder / LAST).is_file():
        begun = f"the run in {folder} ended before it wrote {LAST}; start it anew by overwrite=true instead"
        alone = f"there is no {folder / LAST}; give the output= folder of the interrupted run"
        raise CheckpointError(f"resume=true, but {begun if holds_training(folder) else alone}")
    held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if not held:
        return
    if not holds_training(folder):
        raise ConfigError(
            f"output={folder} holds something else than a training run, such as {held[0]}; give another output=, a new folder"
        )
    if not (resume or overwrite) and not (folder / LAST).is_file():
        raise ConfigError(
            f"{folder} holds a run that ended before it wrote {LAST}; start it anew by overwrite=true, or give another output="
        )
    if not (resume or overwrite):
        raise ConfigError(
            f"{folder} holds an earlier run; go on with it by resume=true, give another output=, or replace it by overwrite=true"
        )


def remove_earlier(folder: Path) -> None:
    """Remove what a new run may never write again, such as a best.pt; checkpoints that it starts from are loaded by now."""
    for name in (LAST, BEST, "metrics.json"):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let no other run write into a folder at the same time, and clear what killed ones left half-written.

    ConfigError where another run does, OutputError where nobody may. The system frees the lock of a process that ends, however it
    ends, and there is no file of it.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} cannot be written; give another output=")
    with _locked(folder) if fcntl is not None else contextlib.nullcontext():
        clear_partials(folder)
        yield


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(f"{folder} cannot be used: {of_system(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(f"another run is writing into {folder}; let it end, or give another output=") from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # for workers that share it, too
        os.close(descriptor)


@contextlib.contextmanager
def without_leftovers(folder: Path) -> Iterator[None]:
    """Remove a folder again, where what was to fill it fails before its first file."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # it holds something, or is gone
            folder.rmdir()
        raise


def check_results_folder(folder: Path, *, overwrite: bool, resume: bool = False) -> None:
    """Refuse to predict into the folder of a training run, and to write over earlier predictions unless that is asked for."""
    if resume and overwrite:
        raise ConfigError("resume=true goes on with a run and overwrite=true replaces it; give one of them")
    check_no_training(folder, "predict")
    held = [name for name in _OF_PREDICTION if (folder / name).exists()]
    if held and not (overwrite or resume):
        if held[0] == "parts":
            raise ConfigError(f"{folder} holds an interrupted run; go on with it by resume=true, or replace it by overwrite=true")
        raise ConfigError(f"{folder} holds {held[0]} already; give another output=, or replace it by overwrite=true")


def check_same_prediction(folder: Path, config: dict[str, Any]) -> None:
    """Refuse to go on with a run in a folder by other options than it began with, where what is found may be otherwise then."""
    before = saved_config(folder)
    now = yaml.safe_load(yaml.safe_dump(config))
    other = [key for key in now if key not in _FREE and before and before.get(key) != now[key]]
    if other:
        key = other[0]
        raise ConfigError(
            f"{folder} holds a run with {key}={before.get(key)!r}, and resume=true goes on with it as it began, not with "
            f"{now[key]!r}; leave that as it was, or begin anew by overwrite=true"
        )


def check_no_training(folder: Path, command: str) -> None:
    """Refuse a training run's folder, whose configuration and figures would be overwritten."""
    if holds_training(folder):
        raise ConfigError(f"output={folder} is the folder of a training run; give another output=, as {folder / command}")


def holds_training(folder: Path) -> bool:
    """Whether a training run wrote into a folder, be it no more than its configuration."""
    return any((folder / name).is_file() for name in _OF_TRAINING) or "engine" in saved_config(folder)


def saved_config(folder: Path) -> dict[str, Any]:
    """What a run's ``config.yaml`` says; nothing where there is none that can be read."""
    file = folder / "config.yaml"
    try:
        config = yaml.safe_load(file.read_text()) if file.is_file() else None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, OSError):
        return {}
    return config if isinstance(config, dict) else {}


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.yaml``, whole or not at all."""
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False))
