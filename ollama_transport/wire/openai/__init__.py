"""The OpenAI-compatible wire, ``/v1``."""
