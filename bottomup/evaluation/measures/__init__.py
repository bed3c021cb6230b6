"""Measures that data sets have of their own; a file's name is the measure's."""
