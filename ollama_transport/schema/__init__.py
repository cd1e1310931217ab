"""JSON schemas, rewritten so that they reach the model without loss."""

from ollama_transport.schema.tools import unwrap_schema

__all__ = ["unwrap_schema"]
