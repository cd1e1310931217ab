"""The server's refusals: one exception, and its two envelopes."""

import json

from ollama_ext.embedded.protocol.encoding import dump_json

_OPENAI_TYPES = {400: "invalid_request_error", 404: "not_found_error"}

# The two spaces are Ollama's own.
SERVER_BUSY = "server busy, please try again.  maximum pending requests exceeded"
NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
TOO_LONG = "the input length exceeds the context length"
PROMPT_TOO_LONG = (
    "the prompt is longer than the context length currently available to this model; "
    "shorten the prompt or raise num_ctx"
)


class WireError(Exception):
    """A refusal: an HTTP status and the text of ``error``.

    Everything that reads a request, finds a model or runs one may raise it; docstrings do not
    repeat that. The application writes it as the envelope of the request's path.

    Args:
        status: HTTP status code.
        text: The text of ``error``, exactly as Ollama writes it (wire reference 7.2).
        early: Whether it was found before the handler began to stream; Ollama then adds a
            charset to the content type.
    """

    def __init__(self, status: int, text: str, *, early: bool = True) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.early = early

    @property
    def content_type(self) -> str:
        """Its content type."""
        return "application/json; charset=utf-8" if self.early else "application/json"


def error_body(path: str, status: int, text: str, *, newline: bool = False) -> bytes:
    """Write the error envelope of a path: native or OpenAI's (wire reference 10)."""
    # The compatible layer writes with an encoder that ends in a newline; the early checks do not.
    end = b"\n" if newline and path.startswith("/v1/") else b""
    return dump_json(_envelope(path, status, text)) + end


def _envelope(path: str, status: int, text: str) -> dict[str, object]:
    if path.startswith("/v1/"):
        kind = _OPENAI_TYPES.get(status, "api_error")
        return {"error": {"message": text, "type": kind, "param": None, "code": None}}
    return {"error": text}


def engine_text(code: int, message: str, kind: str, **counts: int) -> str:
    """Write an error of the engine as Ollama relays it: JSON nested in a text (7.3)."""
    # The order of the keys is the engine's; clients show the text unchanged.
    inner = {"code": code, "message": message, "type": kind, **counts}
    return json.dumps({"error": inner}, separators=(",", ":"))


def context_overflow(tokens: int, num_ctx: int) -> WireError:
    """Return the 400 that names both token counts (wire reference 14)."""
    message = (
        f"request ({tokens} tokens) exceeds the available context size ({num_ctx} tokens), "
        "try increasing it"
    )
    text = engine_text(
        400, message, "exceed_context_size_error", n_prompt_tokens=tokens, n_ctx=num_ctx
    )
    return WireError(400, text, early=False)


def no_multimodal() -> WireError:
    """Return the 400 for an image sent to a text model (wire reference 14)."""
    message = "Multimodal data provided, but model does not support multimodal requests."
    return WireError(400, engine_text(400, message, "invalid_request_error"), early=False)
