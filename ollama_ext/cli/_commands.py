"""Import every module of commands, which registers them."""

from ollama_ext.cli import _chat, _demo, _doctor, _embed, _manage, _serve, _transfer

__all__ = ["_chat", "_demo", "_doctor", "_embed", "_manage", "_serve", "_transfer"]
