"""From maps to instances; the file name is the registered name."""
