"""``weights=`` is a file or a network's name: a name becomes the checkpoint that was made of the network at its first use."""

from __future__ import annotations

import contextlib
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from bottomup.checkpoint import Checkpoint, save_checkpoint
from bottomup.errors import CheckpointError, ConfigError, of_system
from bottomup.importers.kinds import import_file
from bottomup.ops.model_folder import WEIGHTS, is_model_folder
from bottomup.paths import clear_partials, path_of
from bottomup.plan.predicting import predict_plan
from bottomup.zoo.downloading import fetched, forget
from bottomup.zoo.entries import Entry, entries, unknown_name
from bottomup.zoo.home import VARIABLE, checkpoint_path
from bottomup.zoo.hub import downloaded, is_hub_name

_NAME = re.compile(r"[\w-]+")  # what has a folder or an ending is a file's


def checkpoint_file(given: str | Path) -> Path:
    """The checkpoint that is meant: the file or folder where there is one, else that of the zoo's network or the hub's model.

    At its first use a network is downloaded and imported, a hub's ``user/name`` downloaded. CheckpointError where that cannot be,
    or for a name that nobody has; other files that are not there are left to ``load_checkpoint``.
    """
    path = path_of(given)
    if is_hub_name(str(given)) and not path.parent.is_dir():
        return downloaded(str(given))
    if path.is_file() or is_model_folder(path) or not _NAME.fullmatch(str(given)):
        return path
    entry = _entry(str(given))
    if entry is None:
        raise CheckpointError(
            f"{given}: no such checkpoint, and {unknown_name(str(given))}; give the .pt file of a training run, or a name that "
            "`bottomup zoo` lists"
        )
    return imported(entry)


def present_file(given: str | Path | None) -> Path | None:
    """The file of weights that is meant where it is there already; None where it is not, and nothing is fetched."""
    if given is None:
        return None
    path = path_of(given)
    if is_model_folder(path):
        return path / WEIGHTS
    if not path.is_file() and (entry := _entry(str(given))) is not None:
        path = checkpoint_path(entry)
    return path if path.is_file() else None


def is_to_fetch(given: str) -> bool:
    """Whether ``checkpoint_file`` would download or import something first."""
    return not path_of(given).is_file() and _entry(given) is not None and present_file(given) is None


def _entry(name: str) -> Entry | None:
    return next((entry for entry in entries() if name in entry.names), None)


def imported(entry: Entry) -> Path:
    """A network's checkpoint, made where this version has not made it yet; of two processes the second waits for the first.

    One that was cut short, as of a full disk or a copied folder, is made anew.
    """
    target = checkpoint_path(entry)
    if _is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(entry, target.parent / f".{entry.name}.lock"):
            if not _is_whole(target):
                clear_partials(target.parent, target.name)
                save_checkpoint(target, _made(entry))
                _remove_others(target, entry)
    except OSError as error:
        raise ConfigError(f"{target.parent} cannot be written ({of_system(error)}); or name another by {VARIABLE}=") from error
    return target


def _is_whole(file: Path) -> bool:
    """Whether a checkpoint is there to its last byte, where an archive has its table of contents."""
    try:
        return file.is_file() and zipfile.is_zipfile(file)
    except zipfile.BadZipFile:
        return False


@contextlib.contextmanager
def _alone(entry: Entry, file: Path) -> Iterator[None]:
    """Let nobody else who takes the lock in ``file`` run at the same time; the system frees it where a process ends."""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{entry.name}: waiting for another process that is fetching it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _made(entry: Entry) -> Checkpoint:
    """The checkpoint of a network as its entry says that it is run: decoder, input size and side."""
    file = fetched(entry)
    try:
        checkpoint, _ = import_file(file, entry.importer, **entry.options)
    except CheckpointError:
        forget(entry)
        raise
    overrides = [f"decoder={entry.decoder}", f"input_size={entry.input_size}", f"side={entry.side}"]
    model = predict_plan(overrides).model.of_checkpoint(checkpoint.config, overrides)
    return replace(checkpoint, config=checkpoint.config | model.carried())


def _remove_others(target: Path, entry: Entry) -> None:
    """Remove what other versions made of the same network."""
    for path in target.parent.glob(f"{entry.name}-????????.pt"):
        if path != target:
            path.unlink(missing_ok=True)
