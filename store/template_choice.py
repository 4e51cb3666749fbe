"""Which template renders a model's prompts: the Go template of its TEMPLATE layer, or the Jinja one of its GGUF.

Where Ollama serves the model with a renderer or parser of its own, only the Jinja template can take their place.
For all other models the rule is, in order:
1. `OLLAMA_GO_TEMPLATE` set: true takes the Go template where there is one, false never takes it.
2. The model has only one of the two: that one.
3. Jinja, if it shows strictly more of {tools, thinking, insert}, unless only the Go one handles tool results.
4. Jinja, if both show the same, tools among it, and only the Jinja one handles tool results.
5. The Go template.
The evidence is textual. Prompts, capabilities and `/api/show` all follow this choice.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from remuda.v1 import store_pb2 as pb

DEFAULT_TEMPLATE: Final = "{{ .Prompt }}"
"""Ollama's template for a model that has none."""
HARMONY_FAMILIES: Final = frozenset({"gptoss", "gpt-oss"})
"""Families that Ollama serves with its built-in Harmony format where their Go template is Harmony's."""
HARMONY_TAG: Final = "<|start|>"


class Skill(StrEnum):
    """What a template can express beyond a conversation; the values are Ollama's capability names."""

    TOOLS = "tools"
    INSERT = "insert"
    THINKING = "thinking"


_GO_SKILLS = {
    Skill.TOOLS: re.compile(r"\.Tools\b"),
    Skill.INSERT: re.compile(r"\.Suffix\b"),
    Skill.THINKING: re.compile(r"\.Thinking\b"),
}
_GO_TOOL_RESULT = re.compile(r"""eq\s+\.Role\s+["`]tool["`]|tool_response|TOOL_RESULTS""")
_JINJA_TOOL_RESULT = re.compile(r"""tool_response|tool_results|role['"]?\]?\s*==\s*['"]tool['"]|ipython""")


@dataclass(frozen=True, slots=True)
class TemplateSources:
    """A model's templates, and what decides between them. Absent texts are empty."""

    go: str = ""
    jinja: str = ""
    renderer: str = ""
    parser: str = ""
    family: str = ""
    go_setting: bool | None = None  # OLLAMA_GO_TEMPLATE

    @property
    def has_named_builtin(self) -> bool:
        """Whether the model's config names a renderer or parser of Ollama's own."""
        return bool(self.renderer or self.parser)

    def chosen(self) -> pb.ChatTemplate:
        """The template that renders the prompts."""
        if not self._needs_built_in():
            return self.preferred()
        if self.jinja:
            return _jinja(self.jinja)
        return pb.ChatTemplate(language=pb.TEMPLATE_LANGUAGE_BUILT_IN, text=self.preferred().text)

    def preferred(self) -> pb.ChatTemplate:
        """The template that the model's texts alone suggest, as `/api/show` prints it."""
        if prefers_go(self.go, self.jinja, self.go_setting):
            return _go(self.go)
        return _jinja(self.jinja) if self.jinja else _go(DEFAULT_TEMPLATE)

    def _needs_built_in(self) -> bool:
        is_harmony = self.family in HARMONY_FAMILIES and HARMONY_TAG in self.go
        return self.has_named_builtin or is_harmony


def skills_of(template: pb.ChatTemplate) -> frozenset[Skill]:
    """What a Go or Jinja template can express."""
    is_go = template.language == pb.TEMPLATE_LANGUAGE_GO
    return go_skills(template.text) if is_go else jinja_skills(template.text)


def go_skills(template: str) -> frozenset[Skill]:
    """What a Go template uses inside its actions."""
    actions = _go_actions(template)
    return frozenset(skill for skill, pattern in _GO_SKILLS.items() if pattern.search(actions))


def jinja_skills(template: str) -> frozenset[Skill]:
    """What a Jinja template mentions. Insertion has no Jinja form."""
    skills: set[Skill] = set()
    if "tools" in template or "tool_call" in template:
        skills.add(Skill.TOOLS)
    splits_thoughts = "split('</think>')" in template or 'split("</think>")' in template
    keeps_thoughts = "reasoning_content" in template or "<SPECIAL_12>" in template
    if ("<think>" in template and "</think>" in template) or (splits_thoughts and not keeps_thoughts):
        skills.add(Skill.THINKING)
    return frozenset(skills)


def prefers_go(go_template: str, jinja_template: str, setting: bool | None) -> bool:
    """Whether the Go template goes before the Jinja one. Both texts may be ""; `setting` is OLLAMA_GO_TEMPLATE."""
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


def _go_actions(template: str) -> str:
    """All that stands between braces. In time that grows with the template: a lazy pattern's grows with its square."""
    actions: list[str] = []
    end = 0
    while (start := template.find("{{", end)) >= 0 and (end := template.find("}}", start + 2)) >= 0:
        actions.append(template[start + 2 : end])
    return " ".join(actions)


def _go_takes_tool_results(template: str) -> bool:
    actions = _go_actions(template)
    return _mentions(actions, ".Tools", ".ToolCalls") and bool(_GO_TOOL_RESULT.search(template))


def _jinja_takes_tool_results(template: str) -> bool:
    return "tool_calls" in template and bool(_JINJA_TOOL_RESULT.search(template))


def _mentions(text: str, *names: str) -> bool:
    return all(re.search(re.escape(name) + r"\b", text) for name in names)


def _go(text: str) -> pb.ChatTemplate:
    return pb.ChatTemplate(language=pb.TEMPLATE_LANGUAGE_GO, text=text)


def _jinja(text: str) -> pb.ChatTemplate:
    return pb.ChatTemplate(language=pb.TEMPLATE_LANGUAGE_JINJA, text=text)
