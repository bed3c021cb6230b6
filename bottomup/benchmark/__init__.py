"""Combinations of methods, backbones and decoders, measured in one way: which there are, how fast, how large, what they see."""
