"""Name -> class: the file name is the registered name is the YAML name."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from bottomup.errors import ConfigError, unknown, warn
from bottomup.options import checked

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Finds components by name, importing ``<package>.<name>`` on demand.

    A component registers itself under its module's name (``@HEADS.register``) or, in a third-party package, under a
    name it states (``@HEADS.register_as("mine")``). Third-party modules are found through the entry-point group
    ``bottomup.plugins`` or by being imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._classes: dict[str, type[T]] = {}

    def register(self, component: C) -> C:
        """Register a class under the name of the module that defines it; from then on it checks its own options (``checked``)."""
        return self._add(component.__module__.rsplit(".", 1)[-1], component)

    def register_as(self, name: str):  # type: ignore[no-untyped-def]  # a decorator that returns its argument
        """Register a class under a stated name; for plugins and tests."""
        return lambda component: self._add(name, component)

    def _add(self, name: str, component: C) -> C:
        known = self._classes.get(name)
        if known is not None and known.__qualname__ != component.__qualname__:
            raise ConfigError(
                f"{self.kind} {name!r} is registered already, by {known.__module__}; give {component.__module__} another name"
            )
        self._classes[name] = component
        return checked(f"{self.kind} {name}")(component)

    def __getitem__(self, name: str) -> type[T]:
        """Return the class called ``name``; raises ConfigError with the nearest known names."""
        if name not in self._classes and name.isidentifier() and not name.startswith("_"):
            module = f"{self.package}.{name}"
            if importlib.util.find_spec(module) is not None:
                importlib.import_module(module)
        if name not in self._classes:
            load_plugins()
        if name not in self._classes:
            raise ConfigError(unknown(self.kind, name, self.names()))
        return self._classes[name]

    def names(self) -> list[str]:
        """Return every registered name, sorted; imports the whole package and the plugins."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.startswith("_"):
                continue  # a part of a component's
            importlib.import_module(f"{self.package}.{module.name}")
        load_plugins()
        return sorted(self._classes)


def load_plugins() -> None:
    """Import every third-party module of the entry-point group ``bottomup.plugins``; warns of one that cannot be."""
    for entry in entry_points(group="bottomup.plugins"):
        try:
            entry.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does
            reason = next(iter(str(error).splitlines()), "")
            warn(f"plug-in {entry.name} ({entry.value}) is left out, it cannot be imported: {type(error).__name__}: {reason}")
