"""What a command fails with."""


class CommandError(Exception):
    """Its text is the one line that the user sees after `Error: `."""
