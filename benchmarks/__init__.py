"""Measurements of the library, from a checkout; a package, as PyArrow 17 installs one of the same name."""
