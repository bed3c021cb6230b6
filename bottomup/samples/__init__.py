"""The way from samples to batches: which are drawn and as what, how they vary, how they fit the network, how they are joined."""
