"""The body of `/v1/completions`, and its translation to `Generation`s."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from gateway.errors import invalid
from gateway.generation.request import Generation, Kind
from gateway.golang.types import type_name
from gateway.openai.completion_base import DEFAULT_TOP_P, CompletionBase
from gateway.openai.completions.prompts import PromptInput, read_prompts


class CompletionRequest(CompletionBase):
    """The body. Its `logprobs` have no effect: Ollama computes them and does not return them."""

    go_type: ClassVar[str] = "CompletionRequest"
    prompts: Annotated[tuple[PromptInput, ...], BeforeValidator(read_prompts), Field(alias="prompt")] = ("",)
    suffix: str = ""

    def generations(self, limit: int) -> list[Generation]:
        """One for each prompt, of which there may be `limit`. Raises GatewayError."""
        if len(self.prompts) > limit:
            raise invalid(f"more than {limit} prompts in one request")
        if self.suffix and not all(isinstance(prompt, str) for prompt in self.prompts):
            raise invalid("suffix needs a prompt of text, not of token ids")
        return [self._generation(prompt) for prompt in self.prompts]

    def _generation(self, prompt: PromptInput) -> Generation:
        is_text = isinstance(prompt, str)
        return Generation(
            kind=Kind.GENERATE,
            model=self.model,
            prompt=prompt if is_text else "",
            prompt_tokens=() if is_text else prompt,
            raw=not is_text,
            suffix=self.suffix,
            options=self._options(),
            debug_render_only=self.debug_render_only,
        )

    def _options(self) -> dict[str, Any]:
        options = {"frequency_penalty": 0.0, "presence_penalty": 0.0} | self.common_options()
        options["top_p"] = options["top_p"] or DEFAULT_TOP_P
        stop = self.stop_list()
        if stop is not None:
            options["stop"] = [_stop_string(text) for text in stop]
        return options


def _stop_string(value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(f"invalid type for 'stop' field: {type_name(value)}")
    return value
