"""A network together with its decoder as one graph, in files that need neither this library's training nor, as ONNX, PyTorch."""
