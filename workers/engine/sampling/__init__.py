"""Picking tokens: all rows of a step together, with the semantics of llama.cpp's sampler chain in its order
(penalties, top-k, typical, top-p, min-p, temperature, distribution; or penalties, temperature, mirostat)."""
