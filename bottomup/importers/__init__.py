"""Published checkpoints as ordinary models."""
