"""How Ollama reads and writes: Go's JSON, durations, names, options, refusals."""
