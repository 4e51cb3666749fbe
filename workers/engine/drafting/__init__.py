"""Speculation: guesses the next tokens cheaply, and verifies them together in one decode."""
