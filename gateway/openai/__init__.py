"""OpenAI's surface under `/v1`, as Ollama offers it: translation to a `Generation` and from its events."""
