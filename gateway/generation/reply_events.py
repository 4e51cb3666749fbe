"""The worker's output of one generation, turned into events for the client and into figures for the log."""

from dataclasses import replace

from gateway.generation.connection import ClientConnection
from gateway.generation.events import Delta, Done, TokenLogprob
from gateway.generation.logprobs import LogprobAligner
from gateway.generation.record import RequestRecord
from gateway.generation.request import ToolCall
from gateway.links.attempts import Progress
from gateway.links.submission import Output
from gateway.prompt.builder import Prompt, ResolvedRequest
from remuda.v1 import serving_pb2 as pb

REASONS = {pb.FINISH_REASON_STOP: "stop", pb.FINISH_REASON_LENGTH: "length"}


class ReplyEvents:
    """Parses one reply. Keeps its text where the end returns the context."""

    def __init__(self, resolved: ResolvedRequest, prompt: Prompt) -> None:
        generation = resolved.generation
        self._parser = resolved.reply_parser(prompt)
        self._aligner = LogprobAligner() if generation.logprobs else None
        self._wants_tokens = generation.wants_tokens
        self._wants_context = generation.wants_context
        self._texts: list[str] = []

    def delta(self, output: Output) -> Delta | None:
        """The part of the reply that `output` makes certain, if any. Raises GatewayError for a broken tool call."""
        text = output.text
        if self._wants_context:
            self._texts.append(text)
        delta = self._parser.feed(text) if text else None
        logprobs = self._logprobs(output)
        tokens = output.tokens if self._wants_tokens else ()
        if logprobs or tokens:
            delta = replace(delta or Delta(), logprobs=logprobs, tokens=tokens)
        return delta

    def end(self) -> tuple[Delta | None, tuple[ToolCall, ...]]:
        """The rest of the reply, and the calls that only its end reveals. Raises GatewayError for a broken one."""
        return self._parser.end()

    @property
    def text(self) -> str:
        """All text so far, where the reply returns its context."""
        return "".join(self._texts)

    def _logprobs(self, output: Output) -> tuple[TokenLogprob, ...]:
        if self._aligner is None:
            return ()
        return tuple([entry for piece in output.pieces for entry in self._aligner.feed(piece)])


def done_of(finished: pb.Finished, progress: Progress, connection: ClientConnection) -> Done:
    """The end of a reply."""
    usage = finished.usage
    return Done(
        reason=REASONS.get(finished.reason, "stop"),
        total_ns=connection.elapsed_ns,
        load_ns=progress.running_ns - connection.arrived_ns,
        prompt_eval_count=usage.prompt_tokens,
        prompt_eval_ns=usage.prefill_ns,
        eval_count=usage.completion_tokens,
        eval_ns=usage.decode_ns,
        cached_tokens=usage.cached_tokens,
    )


def write_record(record: RequestRecord, done: Done, progress: Progress) -> None:
    """Writes the end of a generation into its record."""
    waited_ns = progress.waited_ns
    record.outcome = done.reason
    record.load_ns, record.queue_ns = (waited_ns, 0) if progress.waited_for_load else (0, waited_ns)
    record.prefill_ns, record.decode_ns = done.prompt_eval_ns, done.eval_ns
    record.prompt_tokens, record.cached_tokens = done.prompt_eval_count, done.cached_tokens
    record.tokens = done.eval_count
