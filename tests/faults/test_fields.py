"""Null and absent fields, everywhere in an answer: a result or an error of ours, in each way."""

import copy
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from fault_ways import WAYS, Way, results_of
from raw_server import Asked, RawServer, Step
from right_answers import framed, is_generation, otherwise, right

from ollama_transport import OllamaError

Path = tuple[str | int, ...]


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the place of each field; of a list the first entry stands for all."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, inner in entries:
        yield (*above, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*above, key))


def without(found: Any, path: Path, *, absent: bool) -> Any:
    """Return an object with a null in a place, or nothing."""
    changed = copy.deepcopy(found)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if absent:
        del inner[path[-1]]
    else:
        inner[path[-1]] = None
    return changed


def variants(asked: Asked) -> list[list[Any]]:
    """Return the objects of an answer with one field missing, for each field of each object."""
    answer = right(asked)
    objects = answer.objects() if answer.is_stream else [answer.object]
    return [
        [*objects[:place], without(objects[place], path, absent=absent), *objects[place + 1 :]]
        for place in sorted({0, len(objects) - 1})
        for path in paths(objects[place])
        for absent in (False, True)
    ]


def play(number: int, asked: Asked) -> list[Step]:
    return framed(right(asked).of(variants(asked)[number]))


def request_of(way: Way) -> Asked:
    """Return a request as a way sends it."""
    native = {"embedded": "/api/embed"}.get(way.form, "/api/chat")
    openai = {"embedded": "/v1/embeddings"}.get(way.form, "/v1/chat/completions")
    body = json.dumps({"stream": way.form == "streamed"}).encode()
    return Asked("POST", openai if way.is_openai else native, {}, body, 0, 0)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_a_missing_field_is_a_result_or_an_error_of_ours(way: Way) -> None:
    """Nothing else ever comes of it, and the call after all of them is answered."""
    count = len(variants(request_of(way)))
    assert count > 4
    with RawServer(otherwise, is_scripted=is_generation) as server:
        server.play(*(partial(play, number) for number in range(count)))
        results = results_of(way, way.model(server.url), count + 1)
        server.wait_until_left()
    outside = [error for _, error in results if error and not isinstance(error, OllamaError)]
    assert outside == []
    assert results[-1][1] is None
