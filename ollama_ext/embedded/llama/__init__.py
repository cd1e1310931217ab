"""Models with weights: GGUF files, and the llama.cpp process that runs one."""
