"""Speculation: tokens that may come next are guessed cheaply and verified together, in one decode."""
