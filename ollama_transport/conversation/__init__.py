"""What both adapters need of a conversation, done once on the transport's own types."""

from ollama_transport.conversation.history import ready_history

__all__ = ["ready_history"]
