"""What a GGUF model can do, found in its config, metadata and templates; names and order are Ollama's."""

from collections.abc import Sequence
from dataclasses import dataclass

from remuda.template_choice import Skill, go_skills, jinja_skills, prefers_go
from store.gguf.header import Gguf

INFILL_KEYS = tuple(f"tokenizer.ggml.fim_{part}_token_id" for part in ("pre", "suf", "mid"))
"""Name the tokens that mark a gap to fill: Remuda then inserts, whatever the template, which Ollama does not."""
ORDER = ("completion", "embedding", "vision", "audio", "tools", "insert", "thinking", "image")

_TOOLS = frozenset({Skill.TOOLS})
_THINKING = frozenset({Skill.THINKING})
_NOTHING: frozenset[Skill] = frozenset()
_PARSER_SKILLS = {
    **dict.fromkeys(("qwen3", "qwen3-vl-instruct", "qwen3-coder", "gemma4-no-thinking", "functiongemma"), _TOOLS),
    **dict.fromkeys(("glm-ocr", "ministral", "olmo3", "lfm2"), _TOOLS),
    **dict.fromkeys(("harmony", "qwen3-thinking", "qwen3-vl-thinking", "qwen3.5", "ornith"), _TOOLS | _THINKING),
    **dict.fromkeys(("nemotron-3-nano", "nemotron-3.5-nano", "deepseek3", "cogito"), _TOOLS | _THINKING),
    **dict.fromkeys(("gemma4", "glm-4.7", "laguna", "poolside-v1", "lfm2-thinking"), _TOOLS | _THINKING),
    **dict.fromkeys(("cohere", "glimmer"), _TOOLS | _THINKING),
    "olmo3-think": _THINKING,
    "passthrough": _NOTHING,
}
"""What Ollama's named output parsers understand."""

_HARMONY_FAMILIES = frozenset({"gptoss", "gpt-oss"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that tells a model's capabilities."""

    model: Gguf
    projectors: Sequence[Gguf]
    go_template: str
    jinja_template: str
    renderer: str
    parser: str
    declared: Sequence[str]
    """Those that the model's config lists."""
    go_setting: bool | None
    """OLLAMA_GO_TEMPLATE."""


def detect_capabilities(evidence: Evidence) -> list[str]:
    """The capabilities in Ollama's order."""
    found = {*evidence.declared, *_of_weights(evidence), *_of_templates(evidence)}
    return [name for name in ORDER if name in found]


def _of_weights(evidence: Evidence) -> set[str]:
    model, projectors = evidence.model, evidence.projectors
    found = {"embedding" if model.own("pooling_type") in model.metadata else "completion"}
    if "completion" in found and all(key in model.metadata for key in INFILL_KEYS):
        found.add("insert")
    if model.own("vision.block_count") in model.metadata or any(map(_sees, projectors)):
        found.add("vision")
    if model.own("audio.block_count") in model.metadata or any(map(_hears, projectors)):
        found.add("audio")
    return found


def _sees(projector: Gguf) -> bool:
    """Old projectors carry no flag: they are all for vision."""
    return projector.metadata.get("clip.has_vision_encoder", True) is True


def _hears(projector: Gguf) -> bool:
    is_gemma3nv = projector.text("clip.vision.projector_type") == "gemma3nv"
    return projector.metadata.get("clip.has_audio_encoder") is True and not is_gemma3nv


def _of_templates(evidence: Evidence) -> set[str]:
    skills = _PARSER_SKILLS.get(evidence.parser, _NOTHING) | _of_chosen_template(evidence)
    if evidence.model.architecture in _HARMONY_FAMILIES:
        skills |= _THINKING
    return {skill.value for skill in skills}


def _of_chosen_template(evidence: Evidence) -> frozenset[Skill]:
    if evidence.renderer or evidence.parser:  # a built-in formatter: the GGUF's template plays no part
        return go_skills(evidence.go_template)
    if prefers_go(evidence.go_template, evidence.jinja_template, evidence.go_setting):
        return go_skills(evidence.go_template)
    return jinja_skills(evidence.jinja_template)
