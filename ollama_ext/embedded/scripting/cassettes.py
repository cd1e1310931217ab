"""Cassettes: recorded requests and answers in one file that vcrpy can read too.

The file is JSON, which is YAML too. ``chunks``, which vcrpy ignores, has the number of bytes of
each chunk of a body. Secrets are left out: headers that authenticate, cookies, user names and
passwords in addresses, and the texts of such headers wherever they stand.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ollama_transport.settings.secrets import HIDDEN, hide, is_secret_header

# YAML reads these as line ends, or rejects them.
_AWKWARD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
# The server that replays the answer sets its own framing headers.
_OWN = frozenset({"connection", "content-encoding", "content-length", "date", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request and its answer."""

    method: str  # such as ``"POST"``
    uri: str  # the address that was asked
    body: bytes  # the body that was sent
    status: int  # the answer's status
    headers: Mapping[str, str]  # its headers, names in lower case
    chunks: tuple[bytes, ...]  # its body, in the pieces that were received

    @property
    def path(self) -> str:
        """Return path and query."""
        parts = urlsplit(self.uri)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def answers(self, method: str, path: str, body: bytes) -> bool:
        """Return whether a request is the recorded one; JSON is compared as values."""
        if (method, path) != (self.method, self.path):
            return False
        return body == self.body or _values(body) == _values(self.body) is not None


def _values(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def scrubbed(found: Interaction, request_headers: Mapping[str, str]) -> Interaction:
    """Return an interaction without the secrets of its request."""
    secrets = {
        word
        for name, value in request_headers.items()
        if is_secret_header(name)
        for word in (value, value.rpartition(" ")[2])
    }
    # Hidden in each chunk first, so that chunk boundaries survive where they can.
    chunks = tuple(_hidden(chunk, secrets) for chunk in found.chunks)
    whole = _hidden(b"".join(chunks), secrets)
    return Interaction(
        found.method,
        _public(found.uri),
        _hidden(found.body, secrets),
        found.status,
        {n: v for n, v in found.headers.items() if n not in _OWN and not is_secret_header(n)},
        # A secret that spanned two pieces: the pieces are merged.
        chunks if b"".join(chunks) == whole else (whole,),
    )


def _hidden(data: bytes, secrets: Iterable[str]) -> bytes:
    return hide(data.decode("utf-8", "surrogateescape"), secrets).encode("utf-8", "surrogateescape")


def _public(uri: str) -> str:
    # Some servers take their key in the query.
    parts = urlsplit(uri)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(n, HIDDEN if is_secret_header(n) else v) for n, v in pairs])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def write_cassette(path: Path, interactions: Iterable[Interaction]) -> None:
    """Write a cassette; OSError when that fails."""
    content = {"version": 1, "interactions": [_written(found) for found in interactions]}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    text = _AWKWARD.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    # Never half a file, whatever happens.
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def _written(found: Interaction) -> dict[str, Any]:
    request = {
        "method": found.method,
        "uri": found.uri,
        "body": _text(found.body).get("string", ""),
        "headers": {"content-type": ["application/json"]},
    }
    response = {
        "status": {"code": found.status, "message": ""},
        "headers": {name: [value] for name, value in found.headers.items()},
        "body": _text(b"".join(found.chunks)),
        "chunks": [len(chunk) for chunk in found.chunks],
    }
    return {"request": request, "response": response}


def _text(data: bytes) -> dict[str, str]:
    try:
        return {"string": data.decode()}
    except UnicodeDecodeError:
        return {"base64_string": base64.b64encode(data).decode()}


def read_cassette(path: Path) -> list[Interaction]:
    """Read a cassette, of ours or of vcrpy.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is not a cassette.
    """
    content = _loaded(path.read_text(encoding="utf-8"))
    if not isinstance(content, Mapping) or not isinstance(content.get("interactions"), list):
        raise ValueError(f"{path} is not a cassette: it has no list of interactions")
    try:
        return [_read(found) for found in content["interactions"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a cassette: {error!r} is wrong in it") from error


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Written by vcrpy, which brings this.
        import yaml

        return yaml.safe_load(text)


def _read(found: Mapping[str, Any]) -> Interaction:
    request, response = found["request"], found["response"]
    body = _bytes(response["body"])
    chunks, start = [], 0
    for length in response.get("chunks", [len(body)]):
        chunks.append(body[start : start + length])
        start += length
    headers = {name.lower(): _first(value) for name, value in response["headers"].items()}
    return Interaction(
        request["method"],
        request["uri"],
        _bytes(request.get("body")),
        response["status"]["code"],
        {name: value for name, value in headers.items() if name not in _OWN},
        tuple(chunks),
    )


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _bytes(body: Any) -> bytes:
    if isinstance(body, Mapping):
        coded = body.get("base64_string")
        return _bytes(body.get("string")) if coded is None else base64.b64decode(coded)
    if body is None:
        return b""
    return body if isinstance(body, bytes) else str(body).encode()
