"""Faults of statuses and redirects."""

import json

from faults import ANSWER, Fault, Gives, Steps, everywhere
from raw_server import Asked, Step
from right_answers import (
    Right,
    sized,
)

BAD = Gives("ProtocolError")
BUSY = Gives("ServerBusyError", "answered 5|answered 429")

PAGE = b"<html><body><h1>Bad Gateway</h1></body></html>"

ONCE_MORE = {"max_retries": 1}


def status(line: bytes, body: bytes, *fields: bytes) -> Steps:
    """Return the steps that answer with a status."""
    return lambda *_: [sized(body, *fields, status=line)]


def page(line: bytes) -> Steps:
    return status(line, PAGE, b"Content-Type: text/html")


def error(line: bytes, text: str, *fields: bytes) -> Steps:
    body = json.dumps({"error": text}).encode()
    return status(line, body, b"Content-Type: application/json", *fields)


def moved(line: bytes, where: str = "{path}?again") -> Steps:
    """Return the steps that redirect; the address may name the path and the port asked for."""

    def steps(asked: Asked, _: Right) -> list[Step]:
        port = asked.headers["host"].rpartition(":")[2]
        to = where.format(path=asked.path, port=port).encode()
        return [sized(b"", b"Location: " + to, status=line)]

    return steps


STATUSES = [
    *(
        Fault(
            f"{line.decode()} as a page",
            "answers with the page of a proxy",
            page(line),
            everywhere(BUSY),
            requests=1,
        )
        for line in (b"502 Bad Gateway", b"503 Service Unavailable", b"504 Gateway Timeout")
    ),
    Fault(
        "503, then well",
        "is busy once",
        error(b"503 Service Unavailable", "busy"),
        everywhere(ANSWER),
        settings=ONCE_MORE,
        requests=2,
    ),
    Fault(
        "429 and seconds",
        "asks to come again in 0 seconds",
        error(b"429 Too Many Requests", "slow down", b"Retry-After: 0"),
        everywhere(ANSWER),
        settings=ONCE_MORE,
        requests=2,
    ),
    Fault(
        "429 and a date",
        "asks to come again at a date, which is that of its answer",
        error(
            b"429 Too Many Requests",
            "slow down",
            b"Date: Fri, 20 Nov 2026 22:52:55 GMT",
            b"Retry-After: Fri, 20 Nov 2026 22:52:55 GMT",
        ),
        everywhere(ANSWER),
        settings=ONCE_MORE,
        requests=2,
    ),
    Fault(
        "429 and an hour",
        "asks to come again in an hour, longer than a call may wait",
        error(b"429 Too Many Requests", "slow down", b"Retry-After: 3600"),
        everywhere(BUSY),
        settings=ONCE_MORE,
        requests=1,
    ),
    Fault(
        "500",
        "fails",
        error(b"500 Internal Server Error", "boom"),
        everywhere(Gives("ServerError", "boom")),
        settings=ONCE_MORE,
    ),
    Fault(
        "404 for a model",
        "does not have the model",
        error(b"404 Not Found", "model 'm' not found"),
        everywhere(Gives("ModelNotFoundError", "ollama pull|Client.list")),
        requests=1,
    ),
    Fault(
        "404 as a page",
        "knows no such path",
        page(b"404 Not Found"),
        everywhere(
            Gives(
                "RequestRejectedError", "(Is that an Ollama server|Is the path of base_url right)"
            )
        ),
    ),
    Fault(
        "401",
        "wants a key",
        error(b"401 Unauthorized", "unauthorized"),
        everywhere(Gives("AuthenticationError", "api_key")),
    ),
]

REDIRECTS = [
    *(
        Fault(
            f"{line.decode()}, same origin",
            "moves the endpoint, keeping the method",
            moved(line),
            everywhere(ANSWER),
            requests=2,
        )
        for line in (b"307 Temporary Redirect", b"308 Permanent Redirect")
    ),
    *(
        Fault(
            f"{line.decode()}, other origin",
            "moves the endpoint to another host",
            moved(line, "http://localhost:{port}{path}?again"),
            everywhere(ANSWER),
            requests=2,
        )
        for line in (b"307 Temporary Redirect", b"308 Permanent Redirect")
    ),
    Fault(
        "endless redirects",
        "redirects to itself again and again",
        moved(b"307 Temporary Redirect"),
        everywhere(Gives("RequestRejectedError", "redirected there")),
        then=(moved(b"307 Temporary Redirect"),) * 20,
    ),
    Fault(
        "redirect to nowhere",
        "redirects without saying where",
        status(b"307 Temporary Redirect", b""),
        everywhere(Gives("RequestRejectedError", "redirects")),
    ),
    Fault(
        "redirect to another protocol",
        "redirects to ftp",
        moved(b"307 Temporary Redirect", "ftp://127.0.0.1/"),
        everywhere(BAD),
    ),
]

LOST = Gives("RequestRejectedError", "redirected there")

REDIRECTS += [
    *(
        Fault(
            f"{line.decode()}, {where} origin",
            "moves the endpoint, so that a POST becomes a GET",
            moved(line, to),
            everywhere(LOST),
        )
        for line in (b"301 Moved Permanently", b"302 Found", b"303 See Other")
        for where, to in (
            ("same", "{path}?again"),
            ("other", "http://localhost:{port}{path}?again"),
        )
    ),
]

STATUSES += [
    Fault(
        "429 and a date beyond time",
        "asks to come again in the year 99999999999",
        error(
            b"429 Too Many Requests",
            "slow down",
            b"Retry-After: Mon, 01 Jan 99999999999 00:00:00 GMT",
        ),
        everywhere(ANSWER),
        settings=ONCE_MORE,
    ),
    Fault(
        "422 with odd details",
        "names a fault at a place that is no list",
        status(b"422 Unprocessable Content", b'{"detail":[{"msg":"bad","loc":5}]}'),
        everywhere(Gives("RequestRejectedError", "bad")),
    ),
    Fault(
        "400 with endless counts",
        "tells that the context is 5,000 digits long",
        error(b"400 Bad Request", "maximum context length is " + "9" * 5000 + " tokens"),
        everywhere(Gives("ContextOverflowError")),
        settings={"on_context_overflow": "error"},
    ),
    Fault(
        "hostile error text",
        "repeats half of a known text 20,000 times",
        error(b"400 Bad Request", "maximum context length is 1 tokens ( " * 20_000),
        everywhere(Gives("ContextOverflowError")),
        settings={"on_context_overflow": "error"},
    ),
]
