"""Vectors as arrays are the vectors as lists, with the same checks, whichever parser reads them."""

import json
import math
import random
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from running import Run

from ollama_transport import EmbeddingArray, EmbedRequest, ProtocolError
from ollama_transport.wire.calls import fast_json
from ollama_transport.wire.values.vectors import joined_array

Ask = Callable[[str, int], EmbeddingArray]


@pytest.fixture(params=["simdjson", "orjson", "json"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Read with pysimdjson, with orjson, and with the standard library alone."""
    names = ["simdjson", "orjson"]
    if request.param in names:
        pytest.importorskip(request.param)
    for name in names[: names.index(request.param) if request.param in names else 2]:
        monkeypatch.setitem(sys.modules, name, None)
    caches = (fast_json._simd_parser, fast_json._fast_loads)
    for cache in caches:
        cache.cache_clear()
    yield request.param
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def ask(run: Run, parser: str) -> Ask:
    """Return what a client makes of a body that answers for so many texts."""

    def asked(body: str, texts: int) -> EmbeddingArray:
        sent = httpx.MockTransport(lambda _: httpx.Response(200, content=body.encode()))
        base = "http://127.0.0.1:1" + ("/v1" if '"data"' in body else "")
        client = run.client(base, transport=sent)
        found: EmbeddingArray = run(client.embed_array(EmbedRequest("m", ["t"] * texts)))
        return found

    return asked


def native(vectors: str) -> str:
    return f'{{"model":"m.1","embeddings":{vectors},"prompt_eval_count":7}}'


def plain(vectors: str) -> str:
    parts = vectors[1:-1].replace("],[", "],,[").split(",,")
    entries = ",".join(f'{{"index":{at},"embedding":{part}}}' for at, part in enumerate(parts))
    return f'{{"model":"m.1","data":[{entries}],"usage":{{"prompt_tokens":7,"total_tokens":7}}}}'


def numbers(count: int) -> list[float]:
    """Return numbers as models make them, and the ones that are hard to round."""
    made = random.Random(1)
    hard = [5e-324, 2.2250738585072011e-308, 1e23, 0.1, 1 / 3, -0.0, 8.41e21, 9007199254740993.0]
    near = [made.gauss(0, 0.036) for _ in range(count - len(hard))]
    return [float(np.float32(each)) for each in near[::2]] + near[1::2] + hard


@pytest.mark.parametrize("form", [native, plain])
def test_an_array_has_the_numbers_of_the_lists(ask: Ask, form: Callable[[str], str]) -> None:
    """Each is the number that Python reads, made one of 32 bits."""
    lists = [numbers(64)[at:] + numbers(64)[:at] for at in range(20)]
    lists = [[each if abs(each) < 1e38 else 0.0 for each in row] for row in lists]
    answer = ask(form(json.dumps(lists, separators=(",", ":"))), 20)
    assert answer.vectors.dtype == np.float32
    assert answer.vectors.shape == (20, 64)
    assert answer.vectors.tobytes() == np.array(lists, np.float32).tobytes()
    assert answer.vectors.flags.writeable
    assert answer.vectors.flags.c_contiguous
    assert answer.model == "m.1"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 7
    assert not {"embeddings", "data"} & set(answer.raw)


def test_what_simdjson_reads_is_what_python_reads() -> None:
    """To the last bit of 64."""
    pytest.importorskip("simdjson")
    made = random.Random(2)
    texts = [repr(each) for each in numbers(1000)]
    texts += [f"{made.gauss(0, 0.04):.{made.randint(1, 20)}g}" for _ in range(10_000)]
    texts += [f"{made.randint(1, 10**18)}e{made.randint(-320, 280)}" for _ in range(10_000)]
    body = f'{{"embeddings":[[{",".join(texts)}]]}}'
    found = fast_json.parse_arrays(body.encode())["embeddings"]
    assert isinstance(found, np.ndarray)
    assert found[0].tobytes() == struct.pack(f"{len(texts)}d", *map(float, texts))


def test_numbers_are_read_from_base64_as_they_are(ask: Ask, recording: Any) -> None:
    """A recorded server's base64, and its numbers."""
    packed = ask(recording("openai/embeddings-base64").data.decode(), 2)
    listed = ask(recording("openai/embeddings").data.decode(), 2)
    assert packed.vectors.shape == listed.vectors.shape == (2, 128)
    assert packed.vectors == pytest.approx(listed.vectors, abs=1e-7)


def test_vectors_on_v1_are_in_the_order_of_their_texts(ask: Ask) -> None:
    """Each row belongs to the text of its index."""
    entries = [{"index": 1, "embedding": "AAAAQA=="}, {"index": 0, "embedding": "AACAPw=="}]
    assert ask(json.dumps({"data": entries}), 2).vectors.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("form", [native, plain])
@pytest.mark.parametrize("place", [0, 1, 31])
@pytest.mark.parametrize(
    "wrong", ["true", "null", '"0.5"', "{}", "[0.5]", "[0.5,0.5]", "NaN", "1e400", "1e39", "-1e39"]
)
def test_the_text_of_an_invalid_vector_is_named(
    ask: Ask, form: Callable[[str], str], wrong: str, place: int
) -> None:
    """Whatever is not a finite number of 32 bits is found wherever it stands."""
    vectors = ["[0.25,0.5,0.75]" for _ in range(32)]
    vectors[place] = vectors[place].replace("0.5", wrong)
    with pytest.raises(ProtocolError, match=rf"text {place}\b"):
        ask(form(f"[{','.join(vectors)}]"), 32)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (native("[[0.5]]"), "1 vectors for 2 texts"),
        (native("[[0.5],[0.5],[0.5]]"), "3 vectors for 2 texts"),
        (native("[[],[]]"), r"vectors of \[0\] numbers"),
        (native("[[0.5,0.5],[0.5]]"), r"vectors of \[1, 2\] numbers"),
        (native("[[0.5],[0.5,[0.5,0.5]]]"), r"vectors of \[1, 2\] numbers"),
        (native("[0.5,0.5]"), "no list of vectors"),
        (native("{}"), "no list of vectors"),
        ('{"model":"m"}', "no list of vectors"),
        ("[[0.5],[0.5]]", "not a list of objects"),
        (native("[[0.5],[0.5]]")[:-9], "not JSON"),
        ('{"data":[{"embedding":"AACAPw=="},{"embedding":"AACAPwAAgD8="}]}', r"\[1, 2\] numbers"),
        ('{"data":[{"embedding":"AACAPw=="},{"embedding":"AAA="}]}', "instead of a vector"),
        ('{"data":[{"embedding":""},{"embedding":""}]}', r"vectors of \[0\] numbers"),
        ('{"data":[{"embedding":"AACAPw=="},{"embedding":"AADAfw=="}]}', "text 1 holds NaN"),
        ('{"data":[{"embedding":"AACAPw=="}]}', "1 vectors .* 2 texts"),
    ],
)
def test_vectors_that_cannot_be_those_of_the_texts_are_refused(
    ask: Ask, body: str, words: str
) -> None:
    """None of them is returned, as with lists."""
    with pytest.raises(ProtocolError, match=words):
        ask(body, 2)


def test_a_missing_numpy_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    # The handler is never called.
    client = run.client("http://127.0.0.1:1", transport=httpx.MockTransport(lambda _: 1 / 0))  # type: ignore[arg-type, return-value]
    for texts in (["a"], []):
        with pytest.raises(ImportError, match=r"pip install 'ollama-ext\[arrays\]'"):
            run(client.embed_array(EmbedRequest("m", texts)))


def test_without_texts_nothing_is_sent(run: Run) -> None:
    """The array has no rows, and as many columns as were asked for."""
    # The handler is never called.
    client = run.client("http://127.0.0.1:1", transport=httpx.MockTransport(lambda _: 1 / 0))  # type: ignore[arg-type, return-value]
    assert run(client.embed_array(model="m", input=[])).vectors.shape == (0, 0)
    assert run(client.embed_array(model="m", input=[], dimensions=8)).vectors.shape == (0, 8)


def test_parts_of_different_lengths_are_not_joined() -> None:
    """As when a server changes its model between two batches."""
    parts = [np.ones((2, 3), np.float32), np.ones((1, 4), np.float32)]
    with pytest.raises(ProtocolError, match=r"vectors of \[3, 4\] numbers"):
        joined_array(parts, None)
    assert joined_array([parts[0], [0.5, math.pi, 1.0]], None).shape == (3, 3)
