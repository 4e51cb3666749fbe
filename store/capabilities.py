"""What a GGUF model can do, by its config, metadata and templates. Names and order are Ollama's."""

from collections.abc import Sequence
from dataclasses import dataclass

from store.gguf.header import Gguf
from store.template_choice import HARMONY_FAMILIES, Skill, TemplateSources, go_skills, skills_of

INFILL_KEYS = tuple(f"tokenizer.ggml.fim_{part}_token_id" for part in ("pre", "suf", "mid"))
"""Keys that name the tokens around a gap. With them Remuda inserts whatever the template; Ollama does not."""
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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model's capabilities follow from."""

    model: Gguf
    projectors: Sequence[Gguf]
    templates: TemplateSources
    declared: Sequence[str]  # the capabilities that the model's config lists


def detect_capabilities(evidence: Evidence) -> list[str]:
    """The capabilities in Ollama's order."""
    capabilities = {*evidence.declared, *_of_weights(evidence), *_of_templates(evidence)}
    return [name for name in ORDER if name in capabilities]


def _of_weights(evidence: Evidence) -> set[str]:
    model, projectors = evidence.model, evidence.projectors
    capabilities = {"embedding" if model.own("pooling_type") in model.metadata else "completion"}
    if "completion" in capabilities and all(key in model.metadata for key in INFILL_KEYS):
        capabilities.add("insert")
    if model.own("vision.block_count") in model.metadata or any(map(_sees, projectors)):
        capabilities.add("vision")
    if model.own("audio.block_count") in model.metadata or any(map(_hears, projectors)):
        capabilities.add("audio")
    return capabilities


def _sees(projector: Gguf) -> bool:
    """A projector without the flag is an old one, and those are all for vision."""
    return projector.metadata.get("clip.has_vision_encoder", True) is True


def _hears(projector: Gguf) -> bool:
    is_gemma3nv = projector.text("clip.vision.projector_type") == "gemma3nv"
    return projector.metadata.get("clip.has_audio_encoder") is True and not is_gemma3nv


def _of_templates(evidence: Evidence) -> set[str]:
    skills = _PARSER_SKILLS.get(evidence.templates.parser, _NOTHING) | _of_template(evidence.templates)
    if evidence.model.architecture in HARMONY_FAMILIES:
        skills |= _THINKING
    return {skill.value for skill in skills}


def _of_template(templates: TemplateSources) -> frozenset[Skill]:
    """A named built-in format silences the Jinja template, as in Ollama."""
    return go_skills(templates.go) if templates.has_named_builtin else skills_of(templates.preferred())
