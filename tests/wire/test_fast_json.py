"""Answers of many numbers are the same, whichever parser reads them."""

import sys
from collections.abc import Iterator

import httpx
import pytest

from ollama_transport import Client, EmbedRequest, ProtocolError
from ollama_transport.wire.calls import fast_json
from ollama_transport.wire.calls.fast_json import parse_numbers


@pytest.fixture(params=["orjson", "json"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Read with orjson, and with the standard library alone."""
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "orjson", None)
    else:
        pytest.importorskip("orjson")
    fast_json._fast_loads.cache_clear()
    yield request.param
    fast_json._fast_loads.cache_clear()


def embedded(vectors: str, texts: int = 1) -> list[list[float]]:
    """Return what a client makes of the vectors that a server writes so."""
    body = f'{{"model":"m","embeddings":{vectors}}}'.encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with Client("http://h", transport=transport) as client:
        return client.embed(EmbedRequest(model="m", input=["t"] * texts)).vectors


def test_the_parser_is_the_one_that_is_installed(parser: str) -> None:
    """The faster one is used where it is there, and is not needed."""
    assert (fast_json._fast_loads() is not None) == (parser == "orjson")


@pytest.mark.usefixtures("parser")
def test_whole_numbers_are_floats() -> None:
    """A server may write 0 and 1 without a point; what is stored are floats, to the last digit."""
    (vector,) = embedded("[[0,1,-0.054491051,1e-7,0.30000000000000004]]")
    assert repr(vector) == "[0.0, 1.0, -0.054491051, 1e-07, 0.30000000000000004]"


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ("[[0.5,NaN]]", "NaN or infinity"),
        ("[[0.5,-Infinity]]", "NaN or infinity"),
        ("[[0.5,null]]", "not a number"),
        ('[[0.5,"0.5"]]', "not a number"),
        ("[[0.5,[0.5]]]", "not a number"),
        ("[[]]", "of [0] numbers"),
        ("[[0.5],[0.5]]", "2 vectors for 1 texts"),
        (f"[[1{'0' * 400},-1{'0' * 400},0.5]]", "not a number"),
        ("[[0.5]", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_invalid_vectors_are_refused(vectors: str, said: str) -> None:
    """Each is a ProtocolError that tells what is wrong, by either parser."""
    with pytest.raises(ProtocolError) as caught:
        embedded(vectors)
    assert said in str(caught.value)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("place", [0, 1, 63])
@pytest.mark.parametrize(
    "wrong", ["true", "null", '"0.5"', "{}", "[0.5]", "NaN", "1e400", "[[.5]]"]
)
def test_the_text_of_an_invalid_vector_is_named(wrong: str, place: int) -> None:
    """Whatever is not a finite number is found wherever it stands among good ones."""
    vectors = ["[0.25,0.5,0.75]" for _ in range(64)]
    vectors[place] = vectors[place].replace("0.5", wrong)
    with pytest.raises(ProtocolError, match=rf"text {place}\b|not JSON"):
        embedded(f"[{','.join(vectors)}]", 64)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "body",
    [
        # What the points are counted by is elsewhere, or not there at all.
        '{"model":"a.b","embeddings":[[1,0.5]]}',
        '{"model":"a[b.c","embeddings":[[1,0.5]]}',
        '{"embeddings":[[1,0.5]],"model":"a.]b"}',
        '{"embeddings":[[1,0.5]],"more":[[0.5]]}',
        '{"more":[0.5],"embeddings":[[1,0.5]]}',
        '{"embeddings":[[0.5,0.5]],"embeddings":[[1,0.5]]}',
        '{"seconds":0.5,"embeddings" : [ [ 1 , 0.5 ] ] }',
        '{"embeddings":[[1e0,0.5]],"seconds":1.5}',
    ],
)
@pytest.mark.parametrize("numpy", ["there", "missing"])
def test_a_whole_number_is_a_float_whatever_stands_around_it(
    body: str, numpy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick look at the bytes takes no integer for a float, with numpy and without."""
    pytest.importorskip("numpy")
    if numpy == "missing":
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body.encode()))
    with Client("http://h", transport=transport) as client:
        assert repr(client.embed(EmbedRequest(model="m", input=["t"])).vectors) == "[[1.0, 0.5]]"


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", ['{"a":"\\ud800"}', ' {"a": 1} \n', '{"a":1,"a":2}', '{"a":NaN}'])
def test_both_parsers_read_the_same(text: str) -> None:
    """Where orjson refuses what the standard library reads, the latter's answer is taken."""
    assert repr(parse_numbers(text.encode())) == repr(fast_json.parse_object(text.encode()))
