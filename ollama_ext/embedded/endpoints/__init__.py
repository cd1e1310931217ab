"""The HTTP endpoints, native and OpenAI-compatible: bodies in, bodies out."""
