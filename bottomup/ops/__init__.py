"""Arithmetic that several heads and decoders share: tensors in, tensors out."""
