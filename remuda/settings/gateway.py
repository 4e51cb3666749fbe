"""Settings of the gateways: limits on requests, templates, vocabularies, and waiting for other processes."""

from typing import Annotated, Literal

from pydantic import Field

from remuda.durations import NANOSECONDS
from remuda.settings.types import (
    GIB,
    MIB,
    CommaList,
    CommaSeparated,
    Digits,
    Flag,
    LenientSettings,
    Period,
    Positive,
    Unsigned,
)

LoadOption = Literal["num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "keep_alive"]


class GatewaySettings(LenientSettings):
    """Gateways read these."""

    origins: Annotated[CommaList, Field(validation_alias="OLLAMA_ORIGINS")] = ()
    """Further origins that browsers may call from, separated by commas."""
    allowed_hosts: Annotated[CommaList, Field(validation_alias="REMUDA_ALLOWED_HOSTS")] = ()
    """Names by which clients reach this server, separated by commas. Addresses, this machine's name and local names are
    always accepted. Where no names are given, only browsers are refused that use another one."""
    context_length: Annotated[Unsigned, Field(validation_alias="OLLAMA_CONTEXT_LENGTH")] = 0
    """Default num_ctx in tokens; 0 = by the memory of the GPUs (4096, 32768 or 262144)."""
    ignored_options: Annotated[
        tuple[LoadOption, ...], CommaSeparated, Field(validation_alias="REMUDA_IGNORED_OPTIONS")
    ] = ()
    """Options of clients that have no effect, separated by commas: `num_ctx`, `num_batch`, `num_gpu`, `main_gpu`,
    `use_mmap`, `num_thread`, `keep_alive`. The model's own and the server's hold. Two clients that ask for different
    ones in turn reload the model at every request. Unloading by name still works."""
    no_cloud: Annotated[Flag, Field(validation_alias="OLLAMA_NO_CLOUD")] = False
    """Refuse models that are hosted elsewhere. None are served yet."""

    max_header: Annotated[Positive, Field(validation_alias="REMUDA_MAX_HEADER")] = 64 << 10
    """Most bytes of a request's line and headers, about. Go's default, which Ollama has, is 1 MiB. Clients of these
    APIs send a few thousand, and every connection may hold as many of a head that it never ends."""
    max_headers: Annotated[Positive, Field(validation_alias="REMUDA_MAX_HEADERS")] = 256
    """Most headers of a request. Real ones have a few dozen. A header of four bytes takes 150 in memory."""
    max_pipelined: Annotated[Positive, Field(validation_alias="REMUDA_MAX_PIPELINED")] = 16
    """Most requests that a connection sends without waiting for replies. Hardly a client sends more than one. The
    connection ends after the replies to these."""
    max_connections: Annotated[Positive, Field(validation_alias="REMUDA_MAX_CONNECTIONS")] = 16384
    """Most open connections of a gateway, or half of its file descriptors where that is less. Further ones get a
    503."""
    max_address_connections: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_ADDRESS_CONNECTIONS")] = 0
    """Most open connections from one address, or from one network (/64) of IPv6; 0 = three quarters of all, so that
    nobody alone locks the others out. It is not lower because a reverse proxy, a company's router or a container's
    bridge is one address for all its clients. Connections from this machine are not limited."""
    idle_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_IDLE_TIMEOUT")] = 620 * NANOSECONDS["s"]
    """How long a connection may rest between two requests. Go's clients and Traefik keep theirs for 90 s, Caddy for two
    minutes, Google's load balancers for ten. Where the server closes first, a request on its way fails, and a proxy
    tells 502. One that rests takes a few KB, and REMUDA_MAX_CONNECTIONS bounds them."""
    stall_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_STALL_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """How long a client may take to send the head of a request, and to send or read REMUDA_STALL_BYTES of a body or a
    reply. Heads and replies are looked at once in this time, so that it may take them twice as long."""
    stall_bytes: Annotated[Positive, Field(validation_alias="REMUDA_STALL_BYTES")] = 16 << 10
    """Bytes that a client must send of a body, or read of a reply, in REMUDA_STALL_TIMEOUT. The default is 546 bytes a
    second, less than any phone has. Of a large body a sixtieth of what has arrived must come instead, where that is
    more."""
    refusal_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_REFUSAL_TIMEOUT")] = NANOSECONDS["s"]
    """How long a connection that is refused, or whose request is malformed, stays open to read that."""
    max_bodies: Annotated[Positive, Field(validation_alias="REMUDA_MAX_BODIES")] = GIB
    """Bytes of memory for all request bodies of a gateway: as far as they have arrived, and with the JSON values parsed
    from them, until their requests end. An eighth is kept for bodies up to 1 MiB: one that declares more takes
    none of it. The values of one body take an eighth at most. Copies that are made on the way may triple it for a
    moment. A body beyond it gets a 503."""
    max_body: Annotated[Positive, Field(validation_alias="REMUDA_MAX_BODY")] = 512 * MIB
    """Most bytes of a request body. A dozen large images fit, and a runaway client does not fill the memory."""
    max_decompressed: Annotated[Positive, Field(validation_alias="REMUDA_MAX_DECOMPRESSED")] = 20 * MIB
    """Most bytes of a request body that came in zstd, before and after decompression. The default is Ollama's."""
    max_unread: Annotated[Positive, Field(validation_alias="REMUDA_MAX_UNREAD")] = MIB
    """Most bytes of token pieces that a gateway holds for a client that does not read. Beyond them the request is
    cancelled and its connection closed. The default holds 50,000 tokens, more than most replies have, in 25 MB of the
    gateway's memory; or 2,700 tokens with 20 alternatives each."""
    max_prompts: Annotated[Positive, Field(validation_alias="REMUDA_MAX_PROMPTS")] = 128
    """Most prompts of one request at /v1/completions. Each takes a place of its own in the queue (OLLAMA_MAX_QUEUE)."""
    max_stops: Annotated[Positive, Field(validation_alias="REMUDA_MAX_STOPS")] = 128
    """Most stop strings of a request or model. Real ones have a dozen."""
    max_stop_bytes: Annotated[Positive, Field(validation_alias="REMUDA_MAX_STOP_BYTES")] = 4096
    """Most bytes of a request's or model's stop strings together. Real ones have a few hundred. A worker makes a table
    of those that a reply repeats, 4 ms for the default, while all streams of the replica wait."""
    max_media: Annotated[int, Field(ge=0, le=GIB), Digits, Field(validation_alias="REMUDA_MAX_MEDIA")] = 48 * MIB
    """Most bytes of a request's images and sounds; 0 = none are accepted. A gateway keeps them while the request waits,
    a worker while it runs. The default holds a dozen photographs. A message of protobuf holds 2 GiB."""
    inline_work: Annotated[int, Field(ge=0, le=32 * MIB), Digits, Field(validation_alias="REMUDA_INLINE_WORK")] = (
        64 << 10
    )
    """Most bytes of a request that waits in the scheduler and travels through it. A larger one (images, prompts of
    20,000 tokens and more) stays in its gateway until a worker has a slot for it and fetches it. That takes 2 ms."""
    max_schema: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_SCHEMA")] = 128 << 10
    """Most bytes of a JSON schema in `format`; 0 = none is accepted. Real ones have less than 50,000. A constant as
    long as the default can hold up its worker's other streams for half a second."""
    schema_processes: Annotated[Positive, Field(validation_alias="REMUDA_SCHEMA_PROCESSES")] = 2
    """Most processes of a gateway that try schemas and grammars. Most schemas take a few milliseconds."""
    schema_queue: Annotated[Unsigned, Field(validation_alias="REMUDA_SCHEMA_QUEUE")] = 256
    """Schemas and grammars that wait for a process at most."""
    schema_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_SCHEMA_TIMEOUT")] = NANOSECONDS["s"]
    """Time for one schema or grammar. A worker takes as long again."""
    schema_memory: Annotated[int, Field(ge=GIB // 4), Digits, Field(validation_alias="REMUDA_SCHEMA_MEMORY")] = 2 * GIB
    """Bytes of address space of a schema process."""
    max_grammar: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_GRAMMAR")] = 32 << 10
    """Most bytes of a GBNF grammar; 0 = none is accepted. llama.cpp's examples have less than 10,000. The time that a
    hostile one takes to translate grows with the square of its size."""

    max_template: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_TEMPLATE")] = 64 << 10
    """Most bytes of a request's own Go template; 0 = none is accepted. Real ones have a few thousand. The default takes
    a quarter of a second to parse."""
    template_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_TEMPLATE_TIMEOUT")] = 2 * NANOSECONDS["s"]
    """Time for one chat template. Real ones take milliseconds; a hostile one must end."""
    template_max_output: Annotated[Positive, Field(validation_alias="REMUDA_TEMPLATE_MAX_OUTPUT")] = 64 * MIB
    """Most bytes that a chat template may write."""
    template_processes: Annotated[Positive, Field(validation_alias="REMUDA_TEMPLATE_PROCESSES")] = 2
    """Most processes of a gateway for the templates of models."""
    template_queue: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_QUEUE")] = 1024
    """Renderings of models' templates that wait for a process at most. Each takes about a millisecond."""
    request_template_processes: Annotated[Positive, Field(validation_alias="REMUDA_REQUEST_TEMPLATE_PROCESSES")] = 1
    """Most processes of a gateway for the templates that requests bring. No model's template waits behind those."""
    request_template_queue: Annotated[Unsigned, Field(validation_alias="REMUDA_REQUEST_TEMPLATE_QUEUE")] = 32
    """Renderings of requests' own templates that wait at most. Each may take REMUDA_TEMPLATE_TIMEOUT."""
    long_conversation: Annotated[Unsigned, Field(validation_alias="REMUDA_LONG_CONVERSATION")] = 256 << 10
    """Characters from which on a conversation is long, with 512 for each message. Long ones are put together in threads
    and rendered in processes of their own. The default takes 10 ms."""
    long_template_processes: Annotated[Positive, Field(validation_alias="REMUDA_LONG_TEMPLATE_PROCESSES")] = 1
    """Most processes of a gateway for the templates of long conversations."""
    template_memory: Annotated[int, Field(ge=GIB // 4), Digits, Field(validation_alias="REMUDA_TEMPLATE_MEMORY")] = GIB
    """Bytes of address space of a template process. The interpreter takes a fifth of the default."""
    template_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_CACHE")] = 128
    """Compiled chat templates that a gateway keeps; 0 = none. Compiling one takes milliseconds."""

    vocabulary_cache: Annotated[Positive, Field(validation_alias="REMUDA_VOCABULARY_CACHE")] = 16
    """Vocabularies that a gateway keeps. One takes up to 100 MB, and half a second to load."""
    tokenize_inline: Annotated[Unsigned, Field(validation_alias="REMUDA_TOKENIZE_INLINE")] = 4096
    """Most characters that are tokenised by the gateway itself; longer texts go to a process of their own, which takes
    half a millisecond more. The default takes 1 to 6 ms by the vocabulary, in which all streams of the gateway wait."""
    tokenize_at_least: Annotated[Unsigned, Field(validation_alias="REMUDA_TOKENIZE_AT_LEAST")] = MIB
    """Characters of a prompt that are tokenised in any case, at both of its ends. Of more, as many count as the context
    can hold."""
    tokenize_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_TOKENIZE_TIMEOUT")] = 20 * NANOSECONDS["s"]
    """Time for one prompt in a tokenizer process. A million characters take a second at most."""
    tokenizer_processes: Annotated[Positive, Field(validation_alias="REMUDA_TOKENIZER_PROCESSES")] = 2
    """Most tokenizer processes of a gateway. Each loads the vocabularies that long texts need."""
    tokenizer_queue: Annotated[Unsigned, Field(validation_alias="REMUDA_TOKENIZER_QUEUE")] = 256
    """Long texts that wait for a tokenizer process at most."""
    tokenizer_memory: Annotated[int, Field(ge=GIB), Digits, Field(validation_alias="REMUDA_TOKENIZER_MEMORY")] = 6 * GIB
    """Bytes of address space of a tokenizer process. Sixteen large vocabularies take 2 GB, and the stack comes on
    top."""
    tokenizer_stack: Annotated[int, Field(ge=16 * MIB), Digits, Field(validation_alias="REMUDA_TOKENIZER_STACK")] = GIB
    """Most bytes of stack of a tokenizer process. The default serves words of 3 million characters; a longer one kills
    the process with some vocabularies, and its request fails."""

    blocking_threads: Annotated[Positive, Field(validation_alias="REMUDA_BLOCKING_THREADS")] = 2
    """Threads of a gateway for each kind of blocking work: long bodies, schemas, templates, vocabularies. More of them
    only compete for Python's lock."""
    blocking_queue: Annotated[Unsigned, Field(validation_alias="REMUDA_BLOCKING_QUEUE")] = 256
    """Calls of one kind that wait for a thread at most. Beyond them requests are told that the server is busy."""
    embedding_group: Annotated[Positive, Field(validation_alias="REMUDA_EMBEDDING_GROUP")] = 65536
    """Tokens of an embedding request that a worker gets at once. The next group of a long list queues again."""

    submit_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_SUBMIT_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long a gateway tries to reach a scheduler or store that is away. A restart takes less than a second."""
    orphan_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_ORPHAN_TIMEOUT")] = 60 * NANOSECONDS["s"]
    """How long a running stream may be silent after the scheduler died. If its worker died too, nobody reports it."""
    last_piece_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_LAST_PIECE_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long a gateway waits for the last token frame after the scheduler reported the request's end."""
