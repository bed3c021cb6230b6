"""Pictures, and predicted people on them; images are (3, H, W) uint8 RGB as in Sample, pictures (H, W, 3) uint8 RGB."""
