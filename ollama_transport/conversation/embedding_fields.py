"""The fields of both embedding classes."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from ollama_transport.settings.values import KeepAlive
from ollama_transport.settings.values import keep_alive as checked_keep_alive
from ollama_transport.wire.values.requests import OverflowPolicy


class EmbeddingFields(BaseModel):
    """Fields of an embedding class that do not depend on the framework."""

    dimensions: int | None = Field(
        default=None,
        ge=1,
        description="Length to shorten the vectors to; they are normalised again. None, and a "
        "number above the model's own, keep the model's length (wire reference 5.1).",
    )
    keep_alive: Annotated[KeepAlive | None, BeforeValidator(checked_keep_alive)] = Field(
        default=None,
        description='How long the model stays in memory: seconds, or "5m"; negative means for '
        "ever, 0 unloads at once. None leaves it to the server (5 minutes).",
    )
    truncate: bool | None = Field(
        default=None,
        description="Whether the server may cut texts that are too long. None means that "
        "`on_context_overflow` decides.",
    )
    on_context_overflow: OverflowPolicy = Field(
        default="warn",
        description='A text too long for the model: "warn" warns and lets the server cut its '
        'batch, "error" raises, "truncate" cuts silently.',
    )
    query_prefix: str | None = Field(
        default=None,
        description='Put unchanged before a query; "" means no prefix. None: see `prefixes`.',
    )
    document_prefix: str | None = Field(
        default=None,
        description='Put unchanged before each document; "" means no prefix. None: see `prefixes`.',
    )
    prefixes: Literal["auto"] | None = Field(
        default=None,
        description='"auto" uses the prefixes that the makers of the model published, unless '
        "others are given; None uses none.",
    )
