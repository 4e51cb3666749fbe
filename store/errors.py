"""What can be wrong with a request to the store. The texts reach clients: they never hold a path."""

from pydantic import ValidationError


class StoreError(Exception):
    """Base of the errors that a client of the store can cause or see."""


class InvalidNameError(StoreError):
    """The text is no model name."""

    def __init__(self) -> None:
        super().__init__("invalid model name")


class ModelNotFoundError(StoreError):
    """No manifest of that name is installed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' not found")


class CorruptModelError(StoreError):
    """The model is installed, but a file of it is missing, truncated or not what it should be."""


def reason_of(error: ValidationError) -> str:
    """The first thing that is wrong, in its validator's own words."""
    return error.errors(include_url=False, include_context=False)[0]["msg"].removeprefix("Value error, ")
