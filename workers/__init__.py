"""Worker hosts and workers: `host` spawns and reaps, `worker` runs one model, `engine` drives llama.cpp."""
