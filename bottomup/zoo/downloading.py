"""The published files of a network: fetched once, each under a name of its own until it is whole, and checked."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import torch

from bottomup.errors import CheckpointError
from bottomup.importers.tfjs import read_graph_model
from bottomup.paths import write_text
from bottomup.zoo.entries import Entry, licence_said
from bottomup.zoo.home import download_folder

RECORD = "SHA256SUMS"  # of files whose authors publish no hash, as `sha256sum --check` reads it
_PATIENCE = 60.0  # seconds that a server may say nothing


def fetched(entry: Entry) -> Path:
    """A network's first file, all others beside it; what is not there is downloaded, and all is checked.

    What came from the network and does not pass is removed, what was put there by hand stays. A file whose hash is published
    must have that; of others the hash is recorded when they come, and must be the same ever after. CheckpointError, one sentence
    with the URL and the folder, where something cannot be had or is not what it was.
    """
    came: list[Path] = []
    try:
        file = _had(entry, entry.file, entry.sha256, came)
        if entry.importer == "tfjs":
            for shard in _shards(file):
                _had(entry, shard, None, came)
            read_graph_model(file)  # refuses shards that are cut short
        _check(entry, file)
    except CheckpointError:
        for path in came:
            path.unlink(missing_ok=True)
        raise
    return file


def _had(entry: Entry, name: str, sha256: str | None, came: list[Path]) -> Path:
    """A file of the network by its name, downloaded and added to what ``came`` where it is not there."""
    path = download_folder(entry) / name
    if path.is_file():
        return path
    if entry.url is None:
        raise CheckpointError(
            f"{entry.name}: {name} has no direct link; fetch it from {entry.by_hand} and put it into {path.parent} "
            f"(licence: {licence_said(entry)}); {_imported(entry)}"
        )
    if not came:
        print(f"{entry.name}: licence: {licence_said(entry)}; {entry.url} goes to {path.parent}", file=sys.stderr)
    _download(entry, urljoin(entry.url, name), path, sha256)
    came.append(path)
    return path


def _download(entry: Entry, url: str, path: Path, sha256: str | None) -> None:
    """Fetch one file by torch.hub, which writes under another name, checks the hash and renames."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for unfinished in path.parent.glob(f"{path.name}.*.partial"):  # of a process that was killed
            unfinished.unlink()
        with _patient():
            torch.hub.download_url_to_file(url, str(path), sha256, progress=sys.stderr.isatty())
    except RuntimeError as error:
        raise CheckpointError(
            f"{entry.name}: what came from {url} was cut short or is not what was published, and is removed ({error}); try again"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise CheckpointError(
            f"{entry.name}: {url} could not be fetched ({_reason(error)}); try again, or fetch it elsewhere and put it into "
            f"{path.parent} as {path.name}{_beside(entry)}; {_imported(entry)}"
        ) from error


def _reason(error: Exception) -> str:
    """What went wrong, in the words of the system: of an URLError those of the error that it wraps."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _imported(entry: Entry) -> str:
    """What to do with the same files where they lie elsewhere."""
    options = "".join(f" {name}={value}" for name, value in entry.options.items())
    return f"or build a checkpoint of them where they lie: bottomup import-weights {entry.importer} FILE output=DIR{options}"


def _beside(entry: Entry) -> str:
    return ", together with the .bin files that stand beside it" if entry.importer == "tfjs" else ""


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Let connections that are made inside end after a while of silence; torch.hub's would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _shards(model: Path) -> list[str]:
    """The files of weights that a TF.js model's JSON names; CheckpointError where it is cut short or names other folders."""
    try:
        names = [str(name) for group in json.loads(model.read_text())["weightsManifest"] for name in group["paths"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{model}: not the JSON of a TF.js model, it may be cut short ({error!r}); remove it and try again"
        ) from error
    elsewhere = [name for name in names if Path(name).name != name]
    if elsewhere:
        raise CheckpointError(f"{model}: its weights should lie beside it, but it names {elsewhere[0]!r}")
    return names


def _check(entry: Entry, file: Path) -> None:
    """Compare hashes with those that are published, or else recorded; of what was never seen they are recorded."""
    if entry.sha256 is not None:
        found = _sha256(file)
        if not found.startswith(entry.sha256):
            raise CheckpointError(
                f"{file}: not the file that was published: its SHA-256 should begin with {entry.sha256}, got {found}; "
                f"replace it by {entry.url or f'the one of {entry.by_hand}'}"
            )
        return
    record = file.parent / RECORD
    files = [file, *(file.parent / name for name in (_shards(file) if entry.importer == "tfjs" else ()))]
    now = {path.name: _sha256(path) for path in files}
    known = _recorded(record)
    changed = [name for name, found in now.items() if known.get(name, found) != found]
    if changed:
        raise CheckpointError(
            f"{file.parent / changed[0]}: no longer what it was when it came; put the one of {record.name} back, or remove that to "
            "take the other"
        )
    if now.keys() - known.keys():
        write_text(record, "".join(f"{found}  {name}\n" for name, found in (known | now).items()))


def forget(entry: Entry) -> None:
    """Forget the recorded hashes of files that turned out to be another network's, so that the right ones can take their place."""
    (download_folder(entry) / RECORD).unlink(missing_ok=True)


def _recorded(record: Path) -> dict[str, str]:
    """The hashes that were recorded, by file name."""
    lines = record.read_text().splitlines() if record.is_file() else []
    return {name: found for found, _, name in (line.partition("  ") for line in lines)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
