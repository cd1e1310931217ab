"""What both adapters need of a conversation, done once on the transport's own types."""

from ollama_transport.conversation.history import ready_history
from ollama_transport.conversation.media import (
    Fetched,
    FetchFields,
    FetchLimits,
    afetch_media,
    data_of,
    fetch_media,
    is_address,
    refused,
)

__all__ = [
    "FetchFields",
    "FetchLimits",
    "Fetched",
    "afetch_media",
    "data_of",
    "fetch_media",
    "is_address",
    "ready_history",
    "refused",
]
