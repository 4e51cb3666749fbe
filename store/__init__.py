"""The store process: models on disk, in Ollama's layout."""
