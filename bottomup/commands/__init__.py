"""What the command line does, each from one plain configuration: a module a command."""
