"""Waiting requests: one queue for each model, first come first served, and bounds for all of them."""

from collections import OrderedDict
from collections.abc import Iterator

from scheduler.model import ModelKey, Request, RequestKey


class Queues:
    """The queues of all models. Adding and removing a request takes the same time however many wait."""

    def __init__(self, limit: int, byte_limit: int) -> None:
        """How many requests may wait together (OLLAMA_MAX_QUEUE), and with how many bytes (REMUDA_QUEUE_BYTES)."""
        self._limit = limit
        self._byte_limit = byte_limit
        self._queues: dict[ModelKey, OrderedDict[RequestKey, Request]] = {}
        self._arrivals = 0
        self._waiting = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._waiting

    def __contains__(self, request: Request) -> bool:
        return request.key in self._queues.get(request.model, ())

    @property
    def bytes(self) -> int:
        """Bytes of the works that wait here. Those that gateways keep count next to nothing."""
        return self._bytes

    def has_room(self, request: Request) -> bool:
        """Whether a request may wait."""
        return self._waiting < self._limit and self._bytes + request.size <= self._byte_limit

    @property
    def models(self) -> list[ModelKey]:
        """The models that are waited for; the one whose first request has waited longest comes first."""
        return sorted(self._queues, key=lambda model: self._first(model).arrival)

    @property
    def firsts(self) -> Iterator[Request]:
        """The first request of each queue."""
        return map(self._first, self._queues)

    def add(self, request: Request) -> None:
        """Puts a request at the end of its model's queue."""
        self._arrivals += 1
        self._waiting += 1
        self._bytes += request.size
        request.arrival = self._arrivals
        self._queues.setdefault(request.model, OrderedDict())[request.key] = request

    def discard(self, request: Request) -> None:
        """Takes a request out of its queue, if it is in there."""
        queue = self._queues.get(request.model)
        if queue is None or queue.pop(request.key, None) is None:
            return
        self._waiting -= 1
        self._bytes -= request.size
        if not queue:
            del self._queues[request.model]

    def first(self, model: ModelKey) -> Request | None:
        """The request that is served next."""
        return self._first(model) if model in self._queues else None

    def of(self, model: ModelKey) -> list[Request]:
        """The requests that wait for a model, in order."""
        return list(self._queues[model].values()) if model in self._queues else []

    def length(self, model: ModelKey) -> int:
        return len(self._queues.get(model, ()))

    def places(self) -> Iterator[tuple[int, Request]]:
        """Every waiting request with its position in its queue, 0 = next."""
        for queue in self._queues.values():
            yield from enumerate(queue.values())

    def _first(self, model: ModelKey) -> Request:
        return next(iter(self._queues[model].values()))
