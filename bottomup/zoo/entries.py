"""What is known of a published network, read from its YAML file in configs/zoo and checked field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from bottomup.errors import ConfigError, nearest
from bottomup.options import Count, Fraction, NotEmpty, Positive, check_values, resolved
from bottomup.plan.files import choices, config_folder

GROUP = "zoo"  # the folder of configs that the files lie in
Importer = Literal["tfjs", "mmpose", "higherhrnet", "pose_ae", "multiposenet", "prn"]
_HEXADECIMAL = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that a network's authors print, and how they measured it."""

    AP: Fraction
    images: str
    protocol: str  # size, scales, flip, whatever else is to be said


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A published network: who made it, its files, how it is imported and run, and what its authors say of it.

    ``file`` comes from ``url``, or is put into the cache by hand from the page ``by_hand``, where there is no direct link.
    ``sha256`` is how the file's SHA-256 begins, where its authors say so.
    """

    name: str  # of its YAML file
    also: Sequence[str] = ()  # other names of it
    about: str
    importer: Importer
    options: Mapping[str, int] = field(default_factory=dict)  # of the importer
    file: str
    url: str | None = None
    by_hand: str | None = None
    sha256: str | None = None
    method: Literal["associative_embedding", "higherhrnet", "personlab", "multiposenet"]
    architecture: Annotated[Sequence[str], NotEmpty()]  # as `bottomup train` takes it
    skeleton: str
    keypoints: Count
    parameters: Positive  # millions that the published file holds
    input_size: Count  # px
    side: Literal["long", "short", "square", "native"]
    flip: bool  # whether the first published figure is of both mirror images
    decoder: str  # a file of configs/decoder
    published: Sequence[Published] = ()
    figures: str | None = None  # the page that they are printed on
    licence: str  # of code and weights, as the authors state it
    commercial: bool = True  # whether they allow that
    terms: str | None = None  # what more there is to say of it
    source: str  # the authors' code
    use: str | None = None  # a command, where it is not `bottomup predict`
    citation: Annotated[Sequence[str], NotEmpty()]

    def __post_init__(self) -> None:
        """Refuse fields that do not go together."""
        if (self.url is None) == (self.by_hand is None):
            raise ConfigError("give either url, from which the file comes, or by_hand, the page where its authors have it")
        if Path(self.file).name != self.file:
            raise ConfigError(f"file should be a name without folders, got {self.file!r}")
        if self.sha256 is not None and not _HEXADECIMAL.fullmatch(self.sha256):
            raise ConfigError(f"sha256 should be the first 8 to 64 hexadecimal digits, in small letters, got {self.sha256!r}")
        if self.url is not None and self.sha256 is None and self.importer != "tfjs":
            raise ConfigError(f"sha256 is missing; without it a file of {self.importer} that was cut short is not recognised")

    @property
    def names(self) -> tuple[str, ...]:
        """All names that it answers to."""
        return (self.name, *self.also)


@cache
def entries() -> tuple[Entry, ...]:
    """All published networks, by method and name; ConfigError names the file and the field that do not fit."""
    found = [read_entry(config_folder() / GROUP / f"{name}.yaml") for name in choices(GROUP)]
    return tuple(sorted(found, key=lambda entry: (entry.method, entry.name)))


def names() -> list[str]:
    """Every name that a published network answers to."""
    return [name for entry in entries() for name in entry.names]


def entry_named(name: str) -> Entry:
    """The network of a name; ConfigError with the nearest names."""
    found = next((entry for entry in entries() if name in entry.names), None)
    if found is None:
        raise ConfigError(f"{unknown_name(name)}; `bottomup zoo` lists the names")
    return found


def unknown_name(name: str) -> str:
    """That no published network is called so, and which one was probably meant."""
    near = nearest(name, names())
    return f"no network of the zoo is named {name!r}{f'; did you mean {near[0]!r}?' if near else ''}"


def licence_said(entry: Entry) -> str:
    """The licence in words that somebody reads before anything is downloaded."""
    terms = f" ({entry.terms})" if entry.terms else ""
    return f"{entry.licence}{terms}{'' if entry.commercial else '; NO COMMERCIAL USE'}"


def read_entry(file: Path) -> Entry:
    """The network that a file describes; ConfigError names the file and the field that do not fit."""
    try:
        given = yaml.safe_load(file.read_text())
        if not isinstance(given, dict):
            raise ConfigError(f"expected a mapping of fields, got {given!r}")
        published = given.pop("published", None) or ()
        entry = {str(name): value for name, value in given.items()} | {"name": file.stem, "published": ()}
        _check(Entry, entry)
        return Entry(**entry | {"published": tuple(map(_published, published))})
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _published(given: Any) -> Published:
    if not isinstance(given, dict):
        raise ConfigError(f"published should be a list of mappings of {', '.join(resolved(Published))}, got an entry {given!r}")
    given = {str(name): value for name, value in given.items()}  # as YAML reads on, which is true
    _check(Published, given, "published")
    return Published(**given)


def _check(kind: type[Entry] | type[Published], given: dict[str, Any], where: str = "") -> None:
    """Refuse fields that ``kind`` does not have, values that do not fit, and fields that are missing."""
    check_values(where, given, resolved(kind))
    required = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    missing = [name for name in required if name not in given]
    if missing:
        raise ConfigError(f"{f'{where} ' if where else ''}needs {', '.join(missing)}")
