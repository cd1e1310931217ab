"""A server's text of any kind is searched in time that grows with its length alone."""

import re

import pytest
from fault_ways import in_time

from ollama_transport.wire.errors.mapping import status_error
from ollama_transport.wire.openai import lacks
from ollama_transport.wire.openai.lacks import FieldLack

LACKS = [found for found in vars(lacks).values() if isinstance(found, FieldLack)]
PIECES = [
    "response_format be text or ",
    "tool call id ",
    "messages name ",
    "max_tokens not supported ",
    "try again in 1",
    "prompt 1 ",
    "'input': ",
    "(ref: aaaa",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_text_is_searched_in_bounded_time(piece: str) -> None:
    """Quadratic time would be minutes here."""
    text = piece * (30_000 // len(piece))

    def search() -> None:
        for lack in LACKS:
            re.search(lack.words, text)
        url = "http://h/v1/chat/completions"
        status_error(method="POST", url=url, status=400, headers={}, body=text.encode())

    in_time(search)


def test_every_lack_is_searched() -> None:
    """The list above is that of the module."""
    assert len(LACKS) >= 9
