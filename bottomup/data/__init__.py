"""Data sets: images and what is annotated in them, whatever the files' format."""
