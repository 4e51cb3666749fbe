"""What a step gave one sequence: the tokens that were picked, and the piece of its reply that they make."""

from dataclasses import dataclass

from workers.engine.logprobs import TokenLogprobs
from workers.engine.sequence import FinishReason, Sequence
from workers.engine.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Piece:
    """What one step gave one sequence. `ended` on the last piece."""

    request: Sequence
    tokens: tuple[int, ...]
    text: str
    ended: bool = False
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Tokens that a step gave one sequence, and what was asked to be told about each."""

    sequence: Sequence
    tokens: tuple[int, ...]
    told: tuple[TokenLogprobs, ...]


def piece_of(taken: Taken, vocabulary: Vocabulary) -> Piece:
    """The text of the tokens that were taken. What comes after a stop string is taken back."""
    sequence, text, said = taken.sequence, taken.sequence.text, ""
    count = 0
    for token in taken.tokens:
        count += 1
        if token not in vocabulary.end_of_generation:
            said += text.feed(vocabulary.piece(token))
        if text.stopped:
            sequence.take_back(len(taken.tokens) - count)
            sequence.finish = FinishReason.STOP  # also where the limit was reached by the same token
            break
    ended = sequence.finish is not None
    return Piece(sequence, taken.tokens[:count], said + text.end() if ended else said, ended, taken.told[:count])
