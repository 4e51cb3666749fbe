"""Makes the variables of Ollama's Go templates from a conversation in JSON (http-api 13.3)."""

from collections.abc import Mapping
from typing import Any

from gateway.prompt.templates.go import PrintedList, PrintedMap, Struct

Json = Mapping[str, Any]


def go_variables(named: Json) -> dict[str, Any]:
    """The template's root value. `named` has the variables by their Go names, with messages and tools as JSON."""
    variables = {"System": "", "Prompt": "", "Response": "", "Suffix": "", **named}
    variables["Messages"] = [_message(message) for message in named.get("Messages", ())]
    tools = [_tool(tool) for tool in named.get("Tools", ())]
    variables["Tools"] = PrintedList(tools) if tools else []
    return variables


def _message(message: Json) -> dict[str, Any]:
    return {
        "Role": message["role"],
        "Content": message["content"],
        "Thinking": message.get("thinking", ""),
        "Images": message.get("images", []),
        "ToolCalls": [_call(index, call) for index, call in enumerate(message.get("tool_calls", ()))],
        "ToolName": message.get("name", ""),
        "ToolCallID": message.get("tool_call_id", ""),
    }


def _call(index: int, call: Json) -> Struct:
    name, arguments = call["function"]["name"], PrintedMap(call["function"]["arguments"])
    source = {"index": index, "name": name, "arguments": arguments.entries}
    function = Struct(source, {"Index": index, "Name": name, "Arguments": arguments})
    return Struct({"function": source}, {"ID": call.get("id", ""), "Function": function})


def _tool(tool: Json) -> Struct:
    function = tool["function"]
    parameters = function["parameters"]
    named = {
        "Name": function["name"],
        "Description": function.get("description", ""),
        "Parameters": Struct(
            parameters,
            {
                "Type": parameters["type"],
                "Defs": parameters.get("$defs"),
                "Items": parameters.get("items"),
                "Required": parameters.get("required", []),
                "Properties": _properties(parameters.get("properties")),
            },
        ),
    }
    fields = {"Type": tool["type"], "Items": tool.get("items"), "Function": Struct(function, named)}
    return Struct(tool, fields)


def _properties(properties: Json | None) -> PrintedMap:
    return PrintedMap({name: _property(value) for name, value in (properties or {}).items()})


def _property(value: Json) -> Struct:
    kinds = value.get("type", "")
    fields = {
        "AnyOf": [_property(choice) for choice in value.get("anyOf", ())],
        "Type": kinds,
        "Items": value.get("items"),
        "Description": value.get("description", ""),
        "Enum": value.get("enum", []),
        "Properties": _properties(value.get("properties")),
        "Required": value.get("required", []),
    }
    return Struct(value, fields)
