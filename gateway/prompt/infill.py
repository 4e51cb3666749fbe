"""Filling in the middle for models without a template for it: text before and after a gap, marked by special tokens.

Ollama refuses `suffix` where the model's Go template does not use it. But many models of code were trained to fill a
gap, and their GGUF names the tokens that mark it; llama.cpp knows them by those names or by their texts. The prompt is
the one of llama-server's `/infill`, in the order prefix, suffix, middle, in which all of these models were trained:

    [BOS] FIM_PRE before FIM_SUF after FIM_MID

Unlike llama-server's, it has no repository or file name before that: the request tells none, and an invented one would
be context that the model believes. The client's text is tokenised without special tokens, so that code about such
tokens does not move the gap.
"""

from dataclasses import dataclass

PREFIX_SHARE = 0.75
"""Of a prompt that is cut, the part that the text before the gap gets: llama-server's, and most of what matters."""


@dataclass(frozen=True, slots=True)
class InfillMarks:
    """The ids of the three tokens, and of BOS where the model's prompts begin with it."""

    prefix: int
    suffix: int
    middle: int
    bos: int | None = None

    def prompt(self, before: list[int], after: list[int]) -> list[int]:
        """The prompt of both texts' tokens."""
        bos = [] if self.bos is None else [self.bos]
        return [*bos, self.prefix, *before, self.suffix, *after, self.middle]

    def fitted(self, before: list[int], after: list[int], num_ctx: int) -> list[int]:
        """The prompt; where it would fill the context of `num_ctx` tokens, of what is nearest to the gap so much that
        half of the context is left."""
        whole = self.prompt(before, after)
        if len(whole) < num_ctx:
            return whole
        room = max(num_ctx // 2 - len(self.prompt([], [])), 0)
        for_after = min(len(after), max(room - int(room * PREFIX_SHARE), room - len(before)))
        for_before = room - for_after
        return self.prompt(before[len(before) - min(for_before, len(before)) :], after[:for_after])
