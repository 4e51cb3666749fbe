"""The languages of chat templates."""

from enum import StrEnum


class Language(StrEnum):
    """A template's language; the value is the template process's word for it."""

    GO = "go"
    JINJA = "jinja"
