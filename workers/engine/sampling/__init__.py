"""Sampling: picks the tokens of all rows of a step together.

The filters and their order are those of llama.cpp's sampler chain: penalties, top-k, typical, top-p, min-p,
temperature, distribution; or penalties, temperature, mirostat.
"""
