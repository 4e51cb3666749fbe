"""The engine: continuous batching over llama.cpp contexts. It knows sequences and tokens, no sockets.

`llama` wraps the C API; `sequence` is one request's state; `slots` hands out sequence ids; `prefix` finds computed
prefixes; `plan` chooses the rows of one decode; `companion` does the host's work beside that decode;
`sampling` picks the tokens; `text` turns tokens into text, up to its `stop_strings`; `engine` is the loop over it all.
`embedding` makes vectors in a context of its own, and `runner` gives both their turns.
"""
