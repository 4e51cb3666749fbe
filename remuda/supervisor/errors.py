"""The error of a server that cannot start."""


class StartError(Exception):
    """Its text is one line for the operator. The command prints it and exits with status 1."""
