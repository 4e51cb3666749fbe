"""Why the server could not start."""


class StartError(Exception):
    """Its text is one line for the operator; the command prints it and exits with status 1."""
