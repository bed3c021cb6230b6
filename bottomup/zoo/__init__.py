"""Published networks by name: what is known of each, where their files are kept, how they come and become checkpoints."""
