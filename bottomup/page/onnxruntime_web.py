"""ONNX Runtime Web, which runs networks in a browser: fetched once through npm, or given by path."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bottomup.errors import ConfigError
from bottomup.paths import path_of, written_whole
from bottomup.zoo.home import home

VERSION = "1.30.0"
_INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # of npm's archive
_NAME = "onnxruntime-web"
_ARCHIVE = f"{_NAME}-{VERSION}.tgz"  # as npm pack calls it
_MODULE, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # which run on one thread, too
_PATIENCE = 600.0  # seconds that npm may take


@dataclass(frozen=True)
class OnnxruntimeWeb:
    """The two files of ONNX Runtime Web that a page needs."""

    module: bytes  # JavaScript, an ES module
    wasm: bytes


def onnxruntime_web(given: str | Path | None = None) -> OnnxruntimeWeb:
    """ONNX Runtime Web of a path, or where none is given of the archive in the cache, where npm puts it at the first use.

    A path is the package's folder (node_modules/onnxruntime-web), its dist, or an archive of ``npm pack``. ConfigError where npm is
    missing or cannot fetch it, for an archive that is not the published one, and where a path holds something else.
    """
    if given is None:
        return _of_archive(_cached())
    path = path_of(given)
    if path.is_file():
        return _of_archive(path)
    for folder in (path / "dist", path):
        if (folder / _MODULE).is_file() and (folder / _WASM).is_file():
            return OnnxruntimeWeb((folder / _MODULE).read_bytes(), (folder / _WASM).read_bytes())
    raise ConfigError(
        f"onnxruntime_web={path}: should be the folder of the npm package {_NAME}, or its .tgz, which hold {_MODULE} and {_WASM}; "
        f"got {'a folder without them' if path.is_dir() else 'what is not there'}"
    )


def _cached() -> Path:
    """The published archive, fetched where it is not there yet."""
    archive = home() / "downloads" / _NAME / _ARCHIVE
    if not archive.is_file():
        _fetch(archive)
    if _integrity(archive) != _INTEGRITY:
        raise ConfigError(f"{archive}: not the {_NAME} {VERSION} that was published; remove it, so that it is fetched anew")
    return archive


def _fetch(archive: Path) -> None:
    """Have npm fetch the archive, which gets its name only once it is whole and the published one."""
    npm = shutil.which("npm")
    by_hand = f"or fetch it elsewhere (npm pack {_NAME}@{VERSION}) and give onnxruntime_web=FILE.tgz"
    if npm is None:
        raise ConfigError(
            f"a page needs {_NAME} {VERSION}, which npm fetches, and npm is not installed; install Node.js, {by_hand}"
        )
    print(f"{_NAME} {VERSION} (licence: MIT) goes to {archive.parent}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{_NAME}@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"npm could not fetch {_NAME} {VERSION} ({type(error).__name__}); try again, {by_hand}") from error
        made = Path(folder) / _ARCHIVE
        if done.returncode or not made.is_file():
            raise ConfigError(f"npm could not fetch {_NAME} {VERSION} ({_reason(done.stderr)}); try again, {by_hand}")
        if _integrity(made) != _INTEGRITY:
            raise ConfigError(f"what npm fetched is not the {_NAME} {VERSION} that was published; try again, {by_hand}")
        with written_whole(archive) as file:
            file.write(made.read_bytes())


def _reason(said: str) -> str:
    """What npm says is wrong, on one line: its error code where it names one."""
    lines = [line.removeprefix("npm error ").removeprefix("npm ERR! ").strip() for line in said.splitlines() if line.strip()]
    codes = [line for line in lines if line.startswith("code ")]
    return next(iter([*codes, *lines]), "it says nothing")


def _integrity(archive: Path) -> str:
    """The hash of an archive as npm writes it."""
    with archive.open("rb") as file:
        return "sha512-" + base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def _of_archive(archive: Path) -> OnnxruntimeWeb:
    """The two files within an archive of npm."""
    try:
        with tarfile.open(archive) as tar:
            module, wasm = (tar.extractfile(f"package/dist/{name}") for name in (_MODULE, _WASM))
            assert module is not None and wasm is not None  # files, not folders
            return OnnxruntimeWeb(module.read(), wasm.read())
    except (tarfile.TarError, KeyError, EOFError, AssertionError, OSError) as error:
        raise ConfigError(f"{archive}: should be an archive of npm pack {_NAME}, with {_MODULE} and {_WASM}; {error}") from error
