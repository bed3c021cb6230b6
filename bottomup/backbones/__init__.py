"""Networks that turn an image into features; the file name is the registered name."""
