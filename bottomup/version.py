"""The version, stated once; packaging and ``bottomup.__version__`` read it here."""

__version__ = "0.1.0"
