"""The fields that every class of embeddings has."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from ollama_transport.settings.values import KeepAlive
from ollama_transport.settings.values import keep_alive as checked_keep_alive
from ollama_transport.wire.requests import OverflowPolicy


class EmbeddingFields(BaseModel):
    """Fields of a class of embeddings that are not those of one framework."""

    dimensions: int | None = Field(
        default=None,
        ge=1,
        description="Length to cut the vectors to; they are normalised again. None, and a number "
        "above the model's own, leave it as it is (wire reference 5.1).",
    )
    keep_alive: Annotated[KeepAlive | None, BeforeValidator(checked_keep_alive)] = Field(
        default=None,
        description='How long the model stays in memory: seconds, or "5m"; negative is for ever, '
        "0 unloads at once. None leaves it to the server (5 minutes).",
    )
    truncate: bool | None = Field(
        default=None,
        description="Whether the server may cut texts that are too long. None leaves that to "
        "`on_context_overflow`.",
    )
    on_context_overflow: OverflowPolicy = Field(
        default="warn",
        description='A text too long for the model: "warn" warns and has its batch cut by the '
        'server, "error" raises, "truncate" cuts without a word.',
    )
    query_prefix: str | None = Field(
        default=None,
        description='Put before a query, as it stands; "" puts nothing. None: see `prefixes`.',
    )
    document_prefix: str | None = Field(
        default=None,
        description='Put before each document, as it stands; "" puts nothing. None: see '
        "`prefixes`.",
    )
    prefixes: Literal["auto"] | None = Field(
        default=None,
        description='"auto" takes the prefixes that the makers of the model published, where no '
        "other is given; None takes none.",
    )
