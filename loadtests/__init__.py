"""Benchmarks against the raw engine and against llama-server. Developers' tools: no process of Remuda imports them."""
