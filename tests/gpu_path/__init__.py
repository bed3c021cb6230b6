"""The path that a GPU takes, on made-up CUDA tensors and on a real card."""
