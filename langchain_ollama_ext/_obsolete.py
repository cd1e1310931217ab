"""Options that langchain-ollama still has and today's servers ignore."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from ollama_transport.settings import warn_obsolete

PEER_OBSOLETE = ("mirostat", "mirostat_eta", "mirostat_tau", "tfs_z")
"""Fields of langchain-ollama 1.1.0 that today's servers ignore (wire reference 6)."""

_GONE = "No longer exists in Ollama: accepted with a DeprecationWarning, and not sent."


class ObsoleteOptions(BaseModel):
    """Accepts options that langchain-ollama still has and the server no longer knows."""

    mirostat: int | None = Field(default=None, exclude=True, repr=False, description=_GONE)
    mirostat_eta: float | None = Field(default=None, exclude=True, repr=False, description=_GONE)
    mirostat_tau: float | None = Field(default=None, exclude=True, repr=False, description=_GONE)
    tfs_z: float | None = Field(default=None, exclude=True, repr=False, description=_GONE)

    @model_validator(mode="after")
    def _warn_obsolete(self) -> Self:
        for name in PEER_OBSOLETE:
            if getattr(self, name) is not None:
                warn_obsolete(name)
        return self
