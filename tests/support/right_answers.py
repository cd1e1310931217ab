"""What a raw server says when nothing is wrong: the recorded answers, framed as asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raw_server import Asked, End, Step
from recorded import recording

TEXT = "Hello! How can I help you today?"
"""What every chat says."""

TEXTS = ["a cat", "a dog"]
"""What is embedded."""

VECTORS = [[0.6, 0.8], [0.8, -0.6]]
"""Their vectors, short ones of length 1."""

_CHATS = {
    ("/api/chat", True): "chat/tiny-chat/hello-stream",
    ("/api/chat", False): "chat/tiny-chat/hello-whole",
    ("/v1/chat/completions", True): "openai/hello-stream",
    ("/v1/chat/completions", False): "openai/hello-whole",
}
_EMBEDDINGS = ("/api/embed", "/v1/embeddings")


@dataclass(frozen=True)
class Right:
    """The right answer to a request: the pieces of its body, and its content type."""

    pieces: tuple[bytes, ...]
    content_type: str
    is_stream: bool
    is_openai: bool

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def object(self) -> Any:
        """Return the JSON of a whole answer."""
        return json.loads(self.body)

    def objects(self) -> list[Any]:
        """Return the JSON of each line or event of a stream, `[DONE]` left out."""
        lines = [line.removeprefix(b"data: ") for line in self.body.split(b"\n")]
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def of(self, objects: Sequence[Any], *, ends: bool = True) -> "Right":
        """Return an answer of other objects in the same form."""
        dumped = [
            json.dumps(one, ensure_ascii=False).encode("utf-8", "surrogatepass") for one in objects
        ]
        return self.of_texts(dumped, ends=ends)

    def of_texts(self, texts: Sequence[bytes], *, ends: bool = True) -> "Right":
        """Return an answer whose objects are these bytes."""
        if not self.is_stream:
            pieces = [b"".join(texts)]
        elif self.is_openai:
            pieces = [b"data: " + text + b"\n\n" for text in texts]
            pieces += [b"data: [DONE]\n\n"] if ends else []
        else:
            pieces = [text + b"\n" for text in texts]
        return Right(tuple(pieces), self.content_type, self.is_stream, self.is_openai)


def right(asked: Asked) -> Right:
    """Return the right answer to a request."""
    openai = asked.path.startswith("/v1")
    if asked.path in _EMBEDDINGS:
        return Right((json.dumps(_embedded(openai)).encode(),), "application/json", False, openai)
    stream = bool(asked.json.get("stream", not openai))
    found = recording(_CHATS[asked.path, stream])
    kind = found.headers["content-type"]
    return Right(tuple(chunk for chunk in found.chunks if chunk), kind, stream, openai)


def _embedded(openai: bool) -> dict[str, Any]:
    found = json.loads(recording("openai/embeddings" if openai else "embed/three").data)
    if openai:
        for entry, vector in zip(found["data"], VECTORS, strict=True):
            entry["embedding"] = vector
    else:
        found["embeddings"] = VECTORS
    return dict(found)


def head(*fields: bytes, status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    """Return the head of an answer."""
    return b"\r\n".join([b"HTTP/" + version + b" " + status, *fields, b"", b""])


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """Return one chunk of a body."""
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


LAST_CHUNK = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"


def sized(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an answer of a known length."""
    return head(b"Content-Length: %d" % len(body), *fields, status=status) + body


def kind_of(answer: Right) -> bytes:
    return b"Content-Type: " + answer.content_type.encode()


def framed(answer: Right, *fields: bytes) -> list[Step]:
    """Return an answer as the server frames it: streams in chunks, whole answers by length."""
    fields = (kind_of(answer), *fields)
    if not answer.is_stream:
        return [sized(answer.body, *fields)]
    return [head(CHUNKED, *fields), *(chunk(piece) for piece in answer.pieces), LAST_CHUNK]


def otherwise(asked: Asked) -> list[Step]:
    """Answer rightly whatever is asked."""
    if asked.path == "/api/show":
        # Closed behind it, so that the request that a fault is played for has a new connection.
        shown = recording("show/tiny-chat").data
        return [sized(shown, b"Content-Type: application/json", b"Connection: close"), End.CLOSE]
    if asked.path == "/api/version":
        return [sized(b'{"version":"0.33.0"}', b"Content-Type: application/json")]
    if asked.path in _EMBEDDINGS or (asked.path, True) in _CHATS:
        return framed(right(asked))
    return [sized(b"404 page not found", status=b"404 Not Found")]


def is_generation(asked: Asked) -> bool:
    """Return whether a request is for an answer of a model: what faults are played for."""
    return asked.path in _EMBEDDINGS or (asked.path, True) in _CHATS
