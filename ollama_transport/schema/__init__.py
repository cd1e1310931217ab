"""JSON schemas, rewritten so that a server carries them to the model without loss."""

from ollama_transport.schema.tools import unwrap_schema

__all__ = ["unwrap_schema"]
