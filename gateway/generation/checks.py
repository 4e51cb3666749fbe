"""Checks that refuse a request before anything runs (http-api 4.3, 4.4)."""

from collections.abc import Sequence

from gateway.errors import NO_MODEL, invalid, not_found, not_implemented
from gateway.formats.chat_format import ChatFormat
from gateway.generation.request import Generation, Kind
from gateway.prompt.builder import Prompt
from gateway.prompt.images import images_of
from remuda.v1 import store_pb2

MISSING_PROJECTOR = "this model is missing data required for image input"


def check_before_lookup(generation: Generation) -> None:
    """Raises GatewayError for errors that no model would accept."""
    check_top_logprobs(generation.top_logprobs)
    if generation.grammar and generation.format:
        raise invalid("grammar and format cannot be combined")
    if generation.model.strip():
        return
    if generation.kind is Kind.CHAT:
        raise invalid("model is required")
    raise not_found(NO_MODEL)


def is_empty(generation: Generation) -> bool:
    """Whether the request only loads or unloads the model."""
    if generation.kind is Kind.CHAT:
        return not generation.messages
    return not generation.prompt and not generation.prompt_tokens


def is_unload(generation: Generation) -> bool:
    """Whether the request unloads the model."""
    return is_empty(generation) and generation.keep_alive_ns == 0


def check_abilities(generation: Generation, bundle: store_pb2.Bundle, *, fills_gaps: bool = False) -> None:
    """Raises GatewayError for what the model cannot do. `fills_gaps`: its vocabulary has tokens for inserting."""
    able = {*bundle.capabilities, *(("insert",) if fills_gaps else ())}
    if "image" in able:
        raise invalid("image generation models are not currently supported")
    if generation.raw and (generation.template or generation.system or generation.context):
        raise invalid("raw mode does not support template, system, or context")
    if generation.think and "thinking" not in able:
        raise invalid(f'"{generation.model}" does not support thinking')
    if "completion" not in able:
        raise invalid(f'"{generation.model}" does not support {generation.kind.value}')
    needs = {"insert": bool(generation.suffix), "tools": bool(generation.tools)}
    missing = [name for name, is_needed in needs.items() if is_needed and name not in able]
    if missing:
        raise invalid(f"{bundle.full_name} does not support {chr(10).join(missing)}")


def check_stops(stop: Sequence[str], limit: int, byte_limit: int) -> None:
    """Raises GatewayError for more than `limit` stop strings or `byte_limit` bytes of them. The request's or the
    model's count alike."""
    if len(stop) > limit:
        raise invalid(f"there may be {limit} stop strings at most")
    if sum(len(text.encode("utf-8", "replace")) for text in stop) > byte_limit:
        raise invalid(f"the stop strings may have {byte_limit} bytes together")


def check_template(template: str, limit: int) -> None:
    """Raises GatewayError for a template of more than `limit` bytes."""
    if len(template.encode("utf-8", "replace")) > limit:
        raise invalid(f"the template is longer than {limit} bytes")


def check_media(prompt: Prompt, limit: int) -> None:
    """Raises GatewayError for images of more than `limit` bytes together. An image counts as often as it occurs."""
    if sum(len(segment.image) for segment in prompt.segments) > limit:
        raise invalid(f"the images of a prompt may have {limit} bytes together")


def check_not_blank(prompt: Prompt) -> None:
    """Raises GatewayError for a prompt without a last token to continue from."""
    if prompt.segments and not prompt.tokens:
        raise invalid("the prompt ends with an image: there has to be text after it")
    if not prompt.tokens:
        raise invalid("the prompt is empty: what the request and the template make of it has no tokens")


def check_images(generation: Generation, bundle: store_pb2.Bundle) -> None:
    """Raises GatewayError for images or sounds that the model cannot use."""
    if not generation.images and not images_of(generation.messages):
        return
    if not bundle.projector_paths:
        raise invalid(MISSING_PROJECTOR)
    if bundle.details.family == "mllama" and any(len(m.images) > 1 for m in (generation, *generation.messages)):
        raise invalid("this model only supports one image while more than one image requested")


def check_tools(generation: Generation, chat_format: ChatFormat) -> None:
    """Raises GatewayError for tools where the model's call syntax is unknown."""
    if generation.tools and not chat_format.reads_calls:
        raise not_implemented("the tool call syntax of this model is")


def thinking_of(generation: Generation, bundle: store_pb2.Bundle) -> bool | str | None:
    """Whether the model shall think. By default a model thinks if it can."""
    if generation.think is None and "thinking" in bundle.capabilities:
        return True
    return generation.think


def check_top_logprobs(value: int) -> None:
    """Raises GatewayError outside of 0 to 20."""
    if not 0 <= value <= 20:
        raise invalid("top_logprobs must be between 0 and 20")
