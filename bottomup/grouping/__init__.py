"""The sequential part of decoding, on numpy alone: from what a graph gives to people, with PyTorch or without."""
