"""What a model can do, and which of two templates decides it."""

import pytest

from remuda.v1 import store_pb2 as pb
from store.capabilities import Evidence, detect_capabilities
from store.details import human_number
from store.gguf.header import Gguf
from store.gguf.metadata import Value
from store.template_choice import TemplateSources, go_skills, jinja_skills, prefers_go

GO_PLAIN = "{{ .System }}{{ .Prompt }}"
GO_TOOLS = "{{ range .Messages }}{{ .Content }}{{ end }}{{ if .Tools }}{{ .Tools }}{{ end }}"
GO_ROUND_TRIP = GO_TOOLS + '{{ range .ToolCalls }}{{ end }}{{ if eq .Role "tool" }}{{ end }}'
GO_INSERT = "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}{{ end }}"
JINJA_PLAIN = "{{ messages[0].content }}"
JINJA_TOOLS = "{% if tools %}{{ tools | tojson }}{% endif %}"
JINJA_ROUND_TRIP = JINJA_TOOLS + "{% if message.tool_calls %}{% endif %}{% if message.role == 'tool' %}{% endif %}"
JINJA_THINKING = JINJA_TOOLS + "<think>{{ message.thinking }}</think>"


def header(architecture: str = "llama", **metadata: Value) -> Gguf:
    return Gguf({"general.architecture": architecture, **metadata}, ())


def detect(
    model: Gguf | None = None,
    *,
    projectors: tuple[Gguf, ...] = (),
    go: str = "",
    jinja: str = "",
    renderer: str = "",
    parser: str = "",
    declared: tuple[str, ...] = (),
) -> list[str]:
    templates = TemplateSources(go, jinja, renderer, parser)
    return detect_capabilities(Evidence(model or header(), projectors, templates, declared))


@pytest.mark.parametrize(
    ("go", "jinja", "setting", "expected"),
    [
        (GO_PLAIN, JINJA_PLAIN, None, True),
        ("", JINJA_PLAIN, None, False),
        (GO_PLAIN, "", None, True),
        (GO_PLAIN, JINJA_TOOLS, None, False),
        (GO_ROUND_TRIP, JINJA_THINKING, None, True),
        (GO_TOOLS, JINJA_ROUND_TRIP, None, False),
        (GO_ROUND_TRIP, JINJA_ROUND_TRIP, None, True),
        (GO_INSERT, JINJA_TOOLS, None, True),
        (GO_PLAIN, JINJA_TOOLS, True, True),
        (GO_PLAIN, JINJA_PLAIN, False, False),
        ("", JINJA_PLAIN, True, False),
    ],
)
def test_the_go_template_wins_unless_jinja_is_better_or_the_setting_decides(
    go: str, jinja: str, setting: bool | None, expected: bool
) -> None:
    assert prefers_go(go, jinja, setting) is expected


HARMONY = "<|start|>{{ .Prompt }}"
GO, JINJA, BUILT_IN = pb.TEMPLATE_LANGUAGE_GO, pb.TEMPLATE_LANGUAGE_JINJA, pb.TEMPLATE_LANGUAGE_BUILT_IN


@pytest.mark.parametrize(
    ("templates", "language", "text"),
    [
        (TemplateSources(GO_PLAIN, JINJA_PLAIN), GO, GO_PLAIN),
        (TemplateSources(GO_PLAIN, JINJA_TOOLS), JINJA, JINJA_TOOLS),
        (TemplateSources(GO_PLAIN, JINJA_TOOLS, go_setting=True), GO, GO_PLAIN),
        (TemplateSources(GO_PLAIN, "", go_setting=False), GO, "{{ .Prompt }}"),
        (TemplateSources(), GO, "{{ .Prompt }}"),
        (TemplateSources(GO_PLAIN, JINJA_PLAIN, renderer="qwen3-coder"), JINJA, JINJA_PLAIN),
        (TemplateSources(GO_PLAIN, parser="harmony"), BUILT_IN, GO_PLAIN),
        (TemplateSources(HARMONY, family="gptoss"), BUILT_IN, HARMONY),
        (TemplateSources(HARMONY, JINJA_PLAIN, family="gpt-oss"), JINJA, JINJA_PLAIN),
        (TemplateSources(GO_PLAIN, family="gptoss"), GO, GO_PLAIN),
        (TemplateSources(HARMONY, family="llama"), GO, HARMONY),
    ],
)
def test_one_template_renders_the_prompts(templates: TemplateSources, language: pb.TemplateLanguage, text: str) -> None:
    assert templates.chosen() == pb.ChatTemplate(language=language, text=text)


def test_what_is_shown_is_chosen_by_the_texts_alone() -> None:
    assert TemplateSources(GO_PLAIN, JINJA_PLAIN, parser="harmony").preferred().text == GO_PLAIN


def test_a_variable_outside_an_action_is_no_evidence() -> None:
    assert go_skills(".Tools and .Suffix are words here {{ .Prompt }}") == frozenset()


def test_jinja_thinking_needs_both_tags_or_a_split() -> None:
    assert "thinking" not in jinja_skills("<think>")
    assert "thinking" in jinja_skills("<think></think>")
    assert "thinking" in jinja_skills("{{ content.split('</think>')[-1] }}")
    assert "thinking" not in jinja_skills("{{ content.split('</think>')[-1] }}{{ message.reasoning_content }}")


def test_a_plain_model_completes() -> None:
    assert detect(go=GO_PLAIN) == ["completion"]


def test_a_model_that_pools_embeds_and_does_not_complete() -> None:
    assert detect(header("bert", **{"bert.pooling_type": 1})) == ["embedding"]


def test_capabilities_come_in_ollamas_order() -> None:
    model = header(**{"llama.vision.block_count": 1, "llama.audio.block_count": 1})
    found = detect(model, jinja=JINJA_THINKING, declared=("insert", "completion"))
    assert found == ["completion", "vision", "audio", "tools", "insert", "thinking"]


def test_tokens_for_filling_in_the_middle_insert_whatever_the_template() -> None:
    marks: dict[str, Value] = {f"tokenizer.ggml.fim_{part}_token_id": 1 for part in ("pre", "suf", "mid")}
    assert detect(header(**marks), go=GO_PLAIN) == ["completion", "insert"]
    assert detect(header(**dict(list(marks.items())[:2])), go=GO_PLAIN) == ["completion"]


def test_only_the_chosen_template_counts() -> None:
    assert detect(go=GO_INSERT, jinja=JINJA_TOOLS) == ["completion", "insert"]


def test_projectors_give_vision_and_audio() -> None:
    assert "vision" in detect(projectors=(header("clip"),))
    ears = header("clip", **{"clip.has_vision_encoder": False, "clip.has_audio_encoder": True})
    assert detect(projectors=(ears,)) == ["completion", "audio"]


def test_a_named_parser_brings_its_skills_and_silences_jinja() -> None:
    assert detect(parser="qwen3-coder", jinja=JINJA_THINKING) == ["completion", "tools"]


def test_gpt_oss_thinks() -> None:
    assert detect(header("gptoss"), go=GO_PLAIN) == ["completion", "thinking"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (999, "999"),
        (12_345, "12K"),
        (22_700_000, "22.70M"),
        (137_000_000, "137M"),
        (3_212_749_888, "3.2B"),
        (8_000_000_000, "8B"),
    ],
)
def test_parameter_counts_read_as_in_ollama(number: int, text: str) -> None:
    assert human_number(number) == text
