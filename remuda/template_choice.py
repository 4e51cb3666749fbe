"""Which template speaks for a model that has two: the Go template of its TEMPLATE layer, or the Jinja of its GGUF.

The rule, in order:
1. `OLLAMA_GO_TEMPLATE` set: true takes the Go template where there is one, false never takes it.
2. Only one of them there: that one.
3. Jinja, if it shows strictly more of {tools, thinking, insert}, unless only the Go one handles tool results.
4. Jinja, if both show the same, tools among it, and only the Jinja one handles tool results.
5. The Go template.
The evidence is textual. The store reports capabilities by this rule and the gateway renders by it.
"""

import re
from enum import StrEnum


class Skill(StrEnum):
    """What a template can express beyond a conversation; the values are Ollama's capability names."""

    TOOLS = "tools"
    INSERT = "insert"
    THINKING = "thinking"


_GO_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_GO_SKILLS = {
    Skill.TOOLS: re.compile(r"\.Tools\b"),
    Skill.INSERT: re.compile(r"\.Suffix\b"),
    Skill.THINKING: re.compile(r"\.Thinking\b"),
}
_GO_TOOL_RESULT = re.compile(r"""eq\s+\.Role\s+["`]tool["`]|tool_response|TOOL_RESULTS""")
_JINJA_TOOL_RESULT = re.compile(r"""tool_response|tool_results|role['"]?\]?\s*==\s*['"]tool['"]|ipython""")


def go_skills(template: str) -> frozenset[Skill]:
    """What a Go template uses inside its actions."""
    actions = " ".join(_GO_ACTION.findall(template))
    return frozenset(skill for skill, pattern in _GO_SKILLS.items() if pattern.search(actions))


def jinja_skills(template: str) -> frozenset[Skill]:
    """What a Jinja template mentions. Insertion has no Jinja form."""
    found: set[Skill] = set()
    if "tools" in template or "tool_call" in template:
        found.add(Skill.TOOLS)
    splits_thoughts = "split('</think>')" in template or 'split("</think>")' in template
    keeps_thoughts = "reasoning_content" in template or "<SPECIAL_12>" in template
    if ("<think>" in template and "</think>" in template) or (splits_thoughts and not keeps_thoughts):
        found.add(Skill.THINKING)
    return frozenset(found)


def prefers_go(go_template: str, jinja_template: str, setting: bool | None) -> bool:
    """Whether the Go template renders this model's prompts. Both texts may be ""; `setting` is OLLAMA_GO_TEMPLATE."""
    if setting is not None:
        return setting and bool(go_template)
    if not go_template or not jinja_template:
        return bool(go_template)
    return not _jinja_is_better(go_template, jinja_template)


def _jinja_is_better(go_template: str, jinja_template: str) -> bool:
    go, jinja = go_skills(go_template), jinja_skills(jinja_template)
    go_returns, jinja_returns = _go_takes_tool_results(go_template), _jinja_takes_tool_results(jinja_template)
    if jinja > go:
        return jinja_returns or not go_returns
    return jinja == go and Skill.TOOLS in go and jinja_returns and not go_returns


def _go_takes_tool_results(template: str) -> bool:
    actions = " ".join(_GO_ACTION.findall(template))
    return _mentions(actions, ".Tools", ".ToolCalls") and bool(_GO_TOOL_RESULT.search(template))


def _jinja_takes_tool_results(template: str) -> bool:
    return "tool_calls" in template and bool(_JINJA_TOOL_RESULT.search(template))


def _mentions(text: str, *names: str) -> bool:
    return all(re.search(re.escape(name) + r"\b", text) for name in names)
