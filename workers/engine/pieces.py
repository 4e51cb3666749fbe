"""What a step gives one sequence: the picked tokens, and the piece of the reply that they make."""

from dataclasses import dataclass

from workers.engine.logprobs import TokenLogprobs
from workers.engine.sequence import FinishReason, Sequence
from workers.engine.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a reply: the tokens of one step and their text. `ended` is true on the last piece."""

    request: Sequence
    tokens: tuple[int, ...]
    text: str
    ended: bool = False
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class PickedTokens:
    """The tokens that a step gave one sequence. `logprobs` has one entry for each, or none at all."""

    sequence: Sequence
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprobs, ...]


def piece_of(picked: PickedTokens, vocabulary: Vocabulary) -> Piece:
    """Makes the text of picked tokens. The sequence gives back the tokens after a stop string."""
    sequence, stream, text = picked.sequence, picked.sequence.text, ""
    count = 0
    for token in picked.tokens:
        count += 1
        if token not in vocabulary.end_of_generation:
            text += stream.feed(vocabulary.piece(token))
        if stream.stopped:
            sequence.take_back(len(picked.tokens) - count)
            sequence.finish = FinishReason.STOP  # also where the same token reached the limit
            break
    ended = sequence.finish is not None
    text = text + stream.end() if ended else text
    return Piece(sequence, picked.tokens[:count], text, ended, picked.logprobs[:count])
