"""Tool definitions as Ollama keeps them: only these parts of a JSON schema reach a template."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from gateway.http.body import GoList, GoMap, GoObject


class ToolProperty(GoObject):
    """One argument of a function."""

    any_of: GoList["ToolProperty"] = Field(default_factory=list[Any], alias="anyOf")
    type: str | GoList[str] = ""
    items: Any = None
    description: str = ""
    enum: GoList[Any] = Field(default_factory=list[Any])
    properties: GoMap["ToolProperty"] = Field(default_factory=dict[str, Any])
    required: GoList[str] = Field(default_factory=list[str])

    def schema_object(self) -> dict[str, Any]:
        kind = self.type[0] if isinstance(self.type, list) and len(self.type) == 1 else self.type
        parts: dict[str, Any] = {
            "anyOf": [choice.schema_object() for choice in self.any_of],
            "type": kind,
            "items": self.items,
            "description": self.description,
            "enum": self.enum,
            "properties": {name: value.schema_object() for name, value in self.properties.items()},
            "required": self.required,
        }
        return {name: value for name, value in parts.items() if value or (name == "items" and value is not None)}


class ToolParameters(GoObject):
    """The arguments of a function."""

    type: str = ""
    defs: Any = Field(default=None, alias="$defs")
    items: Any = None
    required: GoList[str] = Field(default_factory=list[str])
    properties: GoMap[ToolProperty] | None = None

    def schema_object(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"type": self.type}
        if self.defs is not None:
            parts["$defs"] = self.defs
        if self.items is not None:
            parts["items"] = self.items
        if self.required:
            parts["required"] = self.required
        if self.properties is None:
            parts["properties"] = None
        else:
            parts["properties"] = {name: value.schema_object() for name, value in self.properties.items()}
        return parts


class ToolFunction(GoObject):
    """A function that the model may call."""

    name: str = ""
    description: str = ""
    parameters: ToolParameters = ToolParameters()

    def schema_object(self) -> dict[str, Any]:
        described = {"description": self.description} if self.description else {}
        return {"name": self.name, **described, "parameters": self.parameters.schema_object()}


class Tool(GoObject):
    """A tool definition of Ollama's API and of OpenAI's."""

    type: str = ""
    items: Any = None
    function: ToolFunction = ToolFunction()

    def schema_object(self) -> Mapping[str, Any]:
        """The definition as templates see it: Ollama's keys in Ollama's order."""
        items = {} if self.items is None else {"items": self.items}
        return {"type": self.type, **items, "function": self.function.schema_object()}
