"""Networks that turn features into other features; the file name is the registered name."""
