"""The engine: continuous batching over llama.cpp contexts. It knows sequences and tokens, no sockets.

`llama` wraps the C API; `sequence` is one request's state; `slots` hands out sequence ids; `prefix` finds what need not
be computed again; `batch` turns sequences into the rows of one decode; `companion` does the host's work
beside that decode; `sampling` picks the tokens; `text` turns tokens into text; `engine` is the loop over all of it.
`embedding` makes vectors in a context of its own, and `replica` gives both their turns.
"""
