"""Ollama's own wire, ``/api``."""
