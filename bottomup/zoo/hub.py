"""Models that people share on a hub: ``user/name``, or ``user/name@revision``, becomes a folder in the hub's own cache."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from bottomup.errors import CheckpointError
from bottomup.ops.model_folder import CONFIG, WEIGHTS

_PART = r"[A-Za-z0-9][\w.-]*"
_NAME = re.compile(rf"(?P<repository>{_PART}/{_PART})(?:@(?P<revision>[\w./-]+))?")
_PATIENCE = 5.0  # s
_FILES = frozenset({".pt", ".pth", ".ckpt", ".tar", ".h5", ".json", ".safetensors", ".onnx", ".pt2", ".yaml"})


def is_hub_name(given: str) -> bool:
    """Whether a text can be a model's name on a hub: one slash, and no ending of a file."""
    return _NAME.fullmatch(given) is not None and Path(given).suffix not in _FILES


def downloaded(name: str, **options: Any) -> Path:
    """The folder of a model, of which what is missing in the cache is fetched first; ``options`` are ``hf_hub_download``'s.

    CheckpointError, one sentence, where it cannot be had.
    """
    from huggingface_hub import constants, hf_hub_download  # which takes its time

    found = _NAME.fullmatch(name)
    if found is None:
        raise CheckpointError(f"{name}: not a model's name on a hub; give user/name, or user/name@revision")
    if not _answers(constants.ENDPOINT):
        options["local_files_only"] = True
    options = {"revision": found["revision"], **{key: value for key, value in options.items() if value is not None}}
    try:
        folder = Path(hf_hub_download(found["repository"], CONFIG, **options)).parent
        hf_hub_download(found["repository"], WEIGHTS, **options | {"revision": folder.name})  # the commit, should the name move on
        return folder
    except Exception as error:  # of the hub's client, of what speaks HTTP below it, and of the system
        raise CheckpointError(
            f"{name}: no such checkpoint here, and the hub gives none ({_reason(error)}); give the path of a checkpoint, or a "
            "name that is there"
        ) from error


def _answers(address: str) -> bool:
    """Whether a server can be spoken to, which the hub's client would try for half a minute; what a proxy reaches it finds out."""
    if getproxies():
        return True
    server = urlsplit(address)
    try:
        socket.create_connection((str(server.hostname), server.port or 443), _PATIENCE).close()
    except OSError:
        return False
    return True


def _reason(error: Exception) -> str:
    """The first line of an error that says something, without the end of a sentence."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line.rstrip(".") for line in lines if line), type(error).__name__)
