"""Fills gaps for models whose template cannot: special tokens mark the text before and after the gap.

Ollama refuses `suffix` where the model's Go template does not use it. But many code models were trained to fill a gap,
and their GGUF names the tokens that mark it; llama.cpp finds them by name or text. The prompt is that of llama-server's
`/infill`, in the order prefix, suffix, middle, in which all of these models were trained:

    [BOS] FIM_PRE before FIM_SUF after FIM_MID

llama-server begins with a repository and a file name. The request has neither, and the model would believe invented
ones. The client's text is tokenised without special tokens, so that code about such tokens does not move the gap.
"""

from dataclasses import dataclass

PREFIX_SHARE = 0.75
"""The share of the text before the gap in a prompt that is cut: llama-server's, as that text matters most."""


@dataclass(frozen=True, slots=True)
class InfillMarks:
    """The ids of the three tokens, and BOS where the model's prompts begin with it."""

    prefix: int
    suffix: int
    middle: int
    bos: int | None = None

    def prompt(self, before: list[int], after: list[int]) -> list[int]:
        """The prompt for the tokens of both texts."""
        bos = [] if self.bos is None else [self.bos]
        return [*bos, self.prefix, *before, self.suffix, *after, self.middle]

    def fitted(self, before: list[int], after: list[int], num_ctx: int) -> list[int]:
        """The prompt for a context of `num_ctx` tokens.

        A prompt that would fill the context is cut to half of it, at the ends that are far from the gap.
        """
        whole = self.prompt(before, after)
        if len(whole) < num_ctx:
            return whole
        room = max(num_ctx // 2 - len(self.prompt([], [])), 0)
        for_after = min(len(after), max(room - int(room * PREFIX_SHARE), room - len(before)))
        for_before = room - for_after
        return self.prompt(before[len(before) - min(for_before, len(before)) :], after[:for_after])
