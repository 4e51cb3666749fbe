"""The errors of requests to the store. Their texts reach clients, so they never hold a path."""

from pydantic import ValidationError


class StoreError(Exception):
    """Base of the errors that a client sees."""


class InvalidNameError(StoreError):
    """The text is not a model name."""

    def __init__(self) -> None:
        super().__init__("invalid model name")


class ModelNotFoundError(StoreError):
    """No manifest has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' not found")


class CorruptModelError(StoreError):
    """A file of an installed model is missing, truncated or malformed."""


class UnavailableError(StoreError):
    """The store cannot answer now. Another try may help."""


def reason_of(error: ValidationError) -> str:
    """The first failure, in the words of its validator."""
    return error.errors(include_url=False, include_context=False)[0]["msg"].removeprefix("Value error, ")
