"""The error of a command that fails."""


class CommandError(Exception):
    """Its text is one line, which the user sees after `Error: `."""
