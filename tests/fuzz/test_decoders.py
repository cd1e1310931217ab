"""Decoders give the same objects for the same bytes, however those are split."""

import json

from http_answers import EXAMPLES, SPLITS, pieces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_transport import ProtocolError
from ollama_transport.wire.calls.decoders import NDJSONDecoder, SSEDecoder

_json = st.dictionaries(
    st.text(max_size=5), st.one_of(st.text(), st.integers(), st.none(), st.floats()), max_size=3
)
_objects = _json.map(lambda found: json.dumps(found, ensure_ascii=False))
_noise = st.sampled_from(["", " ", "\r", "\x85", "\u2028", "[]", "{", "null", ": ping", "event: a"])
_lines = st.one_of(
    _objects, _objects, _objects.map("data: {}".format), st.just("data: [DONE]"), _noise
)
_ends = st.sampled_from(["\n", "\n\n", "\r\n", "\r\n\r\n", "\r"])
STREAMS = st.lists(st.tuples(_lines, _ends), max_size=8).map(
    lambda parts: "".join(line + end for line, end in parts).encode("utf-8", "surrogatepass")
)
Read = tuple[list[str], bool]
fuzz = settings(
    max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def read(decoder: NDJSONDecoder | SSEDecoder, parts: list[bytes]) -> Read:
    """Return the objects of a stream, and whether it failed."""
    objects = []
    try:
        for part in parts:
            objects += decoder.feed(part)
        objects += decoder.feed(b"")
        objects += decoder.finish()
    except ProtocolError:
        return [json.dumps(one) for one in objects], True
    return [json.dumps(one) for one in objects], False


def check(kind: type[NDJSONDecoder] | type[SSEDecoder], data: bytes, sizes: list[int]) -> Read:
    whole = read(kind(), [data])
    assert read(kind(), list(pieces(data, sizes))) == whole
    assert read(kind(), [data[at : at + 1] for at in range(len(data))]) == whole
    return whole


@fuzz
@given(STREAMS, SPLITS)
def test_lines_do_not_depend_on_splits(data: bytes, sizes: list[int]) -> None:
    """NDJSON: the objects before a failure, and the failure."""
    check(NDJSONDecoder, data, sizes)


@fuzz
@given(STREAMS, SPLITS)
def test_events_do_not_depend_on_splits(data: bytes, sizes: list[int]) -> None:
    """Server-sent events: the same."""
    check(SSEDecoder, data, sizes)


@fuzz
@given(st.lists(_json, max_size=6), SPLITS)
def test_every_object_comes_out_as_it_went_in(
    objects: list[dict[str, object]], sizes: list[int]
) -> None:
    """Both wires give back what was written, whatever characters the texts have."""
    texts = [json.dumps(one, ensure_ascii=False) for one in objects]
    expected = [json.dumps(json.loads(text)) for text in texts]
    lines = "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogatepass")
    events = "".join(f"data: {text}\n\n" for text in texts).encode("utf-8", "surrogatepass")
    assert check(NDJSONDecoder, lines, sizes) == (expected, False)
    assert check(SSEDecoder, events, sizes) == (expected, False)
