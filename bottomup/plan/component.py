"""A component that a configuration names, with its options, before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

from bottomup.errors import ConfigError
from bottomup.options import check_options, unchecked
from bottomup.registry import Registry

T = TypeVar("T")


class _Checked(partial[T]):
    """A constructor whose options were checked, by their path in YAML, and are not checked once more when it is called."""

    def __call__(self, /, *wiring: object, **options: object) -> T:
        return unchecked(self.func, *self.args, *wiring, **self.keywords | options)


@dataclass(frozen=True)
class Component:
    """A component by its name in a registry, and the options of its constructor."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, where: str, given: Mapping[str, Any], name: str | None = None, kind: str = "component") -> Self:
        """The component that plain data describe; ``name`` where those say none. ConfigError without a name."""
        options = dict(given)
        named = options.pop("name", name)
        if named is None:
            raise ConfigError(f"{where}: no `name`; say which {kind} it is")
        return cls(str(named), options)

    def builder(self, registry: Registry[T], where: str, *wiring: object, extra: Sequence[str] = ()) -> Callable[..., T]:
        """A call of the constructor with ``wiring`` before the options, checked by name and type.

        ``extra`` are options that are read elsewhere. ConfigError, which says ``where``, for what does not fit.
        """
        component = registry[self.name]
        check_options(where, component, self.options, extra)
        return _Checked(component, *wiring, **self.options)

    def plain(self, name: str | None = None) -> dict[str, Any]:
        """As plain data, without the name where it is ``name``."""
        return ({} if self.name == name else {"name": self.name}) | dict(self.options)
