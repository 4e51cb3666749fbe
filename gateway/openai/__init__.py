"""OpenAI's surface under `/v1`, as Ollama offers it: translates bodies to requests, and events to replies."""
