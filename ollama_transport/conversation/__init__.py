"""What both adapters do with a conversation: history, media, embedding batches, partial JSON."""

from ollama_transport.conversation.answer_fields import SalvageFields, SplitFields, SystemFields
from ollama_transport.conversation.cloud import cloud_note
from ollama_transport.conversation.copies import copier, copying_works
from ollama_transport.conversation.embedding import (
    Batch,
    alocating,
    batches,
    check_text,
    checked_texts,
    locating,
    placing,
)
from ollama_transport.conversation.embedding_fields import EmbeddingFields
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
from ollama_transport.conversation.partial import PLAIN, NotYetError, PartialReader, Target
from ollama_transport.wire.values.json_text import (
    FoundJson,
    NoJsonError,
    find_json,
    first_fitting,
)
from ollama_transport.wire.values.vectors import joined_array

__all__ = [
    "PLAIN",
    "Batch",
    "EmbeddingFields",
    "FetchFields",
    "FetchLimits",
    "Fetched",
    "FoundJson",
    "NoJsonError",
    "NotYetError",
    "PartialReader",
    "SalvageFields",
    "SplitFields",
    "SystemFields",
    "Target",
    "afetch_media",
    "alocating",
    "batches",
    "check_text",
    "checked_texts",
    "cloud_note",
    "copier",
    "copying_works",
    "data_of",
    "fetch_media",
    "find_json",
    "first_fitting",
    "is_address",
    "joined_array",
    "locating",
    "placing",
    "ready_history",
    "refused",
]
