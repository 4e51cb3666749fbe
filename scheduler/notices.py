"""The events of a request's life, as its submitter reads them."""

from remuda.v1 import serving_pb2 as pb

QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"  # Ollama's text, two spaces
UNLOADED = "the model was unloaded while it was loading"
LOAD_STALLED = "timed out waiting for the model to load: no progress within OLLAMA_LOAD_TIMEOUT"


def queued(position: int) -> pb.RequestEvent:
    return pb.RequestEvent(queued=pb.Queued(position=position))


def loading(fraction: float) -> pb.RequestEvent:
    return pb.RequestEvent(loading=pb.Loading(fraction=fraction))


def running(replica: int) -> pb.RequestEvent:
    return pb.RequestEvent(running=pb.Running(replica=replica))


def finished(what: pb.Finished) -> pb.RequestEvent:
    return pb.RequestEvent(finished=what)


def lost(message: str) -> pb.RequestEvent:
    return pb.RequestEvent(lost=pb.Lost(message=message))


def rejected(code: pb.Rejected.Code.ValueType, message: str) -> pb.RequestEvent:
    return pb.RequestEvent(rejected=pb.Rejected(code=code, message=message))


def is_last(event: pb.RequestEvent) -> bool:
    """Whether a request's life ends with this event."""
    return event.WhichOneof("event") in ("finished", "lost", "rejected")
