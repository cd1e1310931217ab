"""What a model of weights does on the native wire, told from what a real Ollama did."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from recorded import recording
from weights import HELLO

from ollama_ext.embedded import EmbeddedOllama

HI = [{"role": "user", "content": "Hello!"}]
SKY = "Why is the sky blue? "
LONG = [{"role": "user", "content": SKY * 1000}]
HISTORY = [{"role": "user", "content": SKY * 100}] * 7 + HI
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}


@pytest.fixture
def http(engine: EmbeddedOllama) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.url, timeout=120, trust_env=False) as client:
        yield client


def chat(http: httpx.Client, messages: Any = HI, **fields: Any) -> Any:
    """Chat with tiny-chat, whole, and return the answer of a 200."""
    body = {"model": "tiny-chat", "messages": messages, "stream": False, **fields}
    response = http.post("/api/chat", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def lines(http: httpx.Client, path: str, **fields: Any) -> list[Any]:
    """Return the lines of a stream."""
    response = http.post(path, json={"model": "tiny-chat", **fields})
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def refused(http: httpx.Client, path: str, status: int, **fields: Any) -> str:
    """Return the text of a refusal, whose status has to be this one."""
    response = http.post(path, json={"model": "tiny-chat", "stream": False, **fields})
    assert response.status_code == status, response.text
    text: str = response.json()["error"]
    return text


@pytest.mark.parametrize("name", ["generate/whole", "generate/with-context", "generate/raw"])
def test_answers_equal_those_of_a_real_ollama(http: httpx.Client, name: str) -> None:
    """Text, tokens and counts are those that a real Ollama recorded with the same weights."""
    real = recording(name)
    ours = http.post(real.path, json=real.body).json()
    (theirs,) = real.objects
    for field in ("response", "done", "done_reason", "context", "prompt_eval_count", "eval_count"):
        assert ours.get(field) == theirs.get(field), field
    assert list(ours) == list(theirs)


def test_a_real_ollama_called_the_same_tool(http: httpx.Client) -> None:
    """A call comes on the last line, with the arguments that a real Ollama recorded."""
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = lines(http, "/api/chat", messages=question, tools=[WEATHER])
    assert [bool(line["message"].get("tool_calls")) for line in answer] == [False] * (
        len(answer) - 1
    ) + [True]
    (call,) = answer[-1]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_current_weather"
    assert call["function"]["arguments"] == {"city": "Paris", "unit": "celsius"}
    assert len(call["id"]) == 32
    assert answer[-1]["done_reason"] == "stop"


def test_pieces_logprobs_and_counts_add_up(http: httpx.Client) -> None:
    """The pieces of a stream are the tokens of its logprobs, one for each counted token."""
    streamed = lines(http, "/api/chat", messages=HI, logprobs=True, top_logprobs=3)
    *parts, last = streamed
    entries = [entry for part in parts for entry in part["logprobs"]]
    assert "".join(part["message"]["content"] for part in parts) == HELLO
    assert "".join(entry["token"] for entry in entries) == HELLO
    # The token that ends the answer is counted and has no text.
    assert last["eval_count"] == len(entries) + 1
    for entry in entries:
        told = [item["logprob"] for item in entry["top_logprobs"]]
        assert len(told) == 3
        assert told == sorted(told, reverse=True)
        assert entry["logprob"] == pytest.approx(told[0])
        assert bytes(entry["bytes"]).decode() == entry["token"]


def test_logprobs_without_alternatives(http: httpx.Client) -> None:
    """Without top_logprobs each token has its own probability alone."""
    entries = chat(http, logprobs=True)["logprobs"]
    assert [set(entry) for entry in entries] == [{"token", "logprob", "bytes"}] * len(entries)
    assert "logprobs" not in chat(http)


def test_counts_and_durations_are_the_engines(http: httpx.Client) -> None:
    """All metrics are there; a prompt counts whole although most of it is cached."""
    first, second = chat(http), chat(http)
    assert first["prompt_eval_count"] == second["prompt_eval_count"] == 10
    for answer in (first, second):
        assert answer["total_duration"] >= answer["load_duration"] + answer["eval_duration"]
        assert answer["prompt_eval_duration"] > 0


@pytest.mark.parametrize("fields", [{}, {"truncate": False}, {"shift": False}])
def test_one_long_message_is_refused(http: httpx.Client, fields: Any) -> None:
    """A last message that does not fit is never cut on this route: 400 names both counts."""
    told = json.loads(refused(http, "/api/chat", 400, messages=LONG, **fields))["error"]
    assert told["type"] == "exceed_context_size_error"
    assert (told["n_ctx"], told["n_prompt_tokens"] > 2048) == (2048, True)


def test_a_long_history_loses_its_oldest_messages(http: httpx.Client) -> None:
    """Old messages go in silence, no more than have to; truncate false refuses instead."""
    options = {"num_predict": 1}
    cut = chat(http, HISTORY, options=options)["prompt_eval_count"]
    one = chat(http, HISTORY[-2:], options=options)["prompt_eval_count"]
    two = chat(http, HISTORY[-3:], options=options)["prompt_eval_count"]
    assert cut < 2048 <= cut + (two - one)
    assert "exceed_context_size_error" in refused(
        http, "/api/chat", 400, messages=HISTORY, truncate=False
    )


@pytest.mark.parametrize("raw", [False, True])
def test_a_long_prompt_of_generate_is_cut_to_a_half(http: httpx.Client, raw: bool) -> None:
    """The beginning and the end stay, and half of the context is free; shift false refuses."""
    asked = {"prompt": SKY * 1000, "raw": raw}
    (answer,) = lines(http, "/api/generate", stream=False, options={"num_predict": 1}, **asked)
    assert 900 < answer["prompt_eval_count"] <= 1024
    told = refused(http, "/api/generate", 400, shift=False, **asked)
    assert told.startswith("the prompt is longer than the context length")
    told = refused(http, "/api/generate", 400, truncate=False, **asked)
    assert json.loads(told)["error"]["n_ctx"] == 2048


def test_options_reach_the_sampler(http: httpx.Client) -> None:
    """num_predict and stop end an answer, a seed repeats one, a cold one is the likeliest."""
    cut = chat(http, options={"num_predict": 3})
    assert (cut["done_reason"], cut["eval_count"]) == ("length", 3)
    stopped = chat(http, options={"stop": [" help"]})
    assert (stopped["message"]["content"], stopped["done_reason"]) == ("Hello! How can I", "stop")
    warm = {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "num_predict": 20, "seed": 7}
    texts = [chat(http, options=warm)["message"]["content"] for _ in range(2)]
    assert texts[0] == texts[1] != HELLO
    likeliest = {**warm, "top_k": 1, "seed": 8}
    assert chat(http, options=likeliest)["message"]["content"] == HELLO


def test_an_answer_follows_its_schema(http: httpx.Client) -> None:
    """`format` is a grammar, with tools as well; "json" is any object."""
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["cat", "dog"]}, "age": {"type": "integer"}},
        "required": ["kind", "age"],
        "additionalProperties": False,
    }
    for more in ({}, {"tools": [WEATHER]}):
        found = json.loads(chat(http, format=schema, **more)["message"]["content"])
        assert set(found) == {"kind", "age"}
        assert found["kind"] in ("cat", "dog")
        assert isinstance(found["age"], int)
    said = chat(http, [{"role": "user", "content": "Say it as JSON"}], format="json")
    assert said["done_reason"] == "length" or isinstance(
        json.loads(said["message"]["content"]), dict
    )


def test_requests_that_the_engine_cannot_serve_are_refused(http: httpx.Client) -> None:
    """Refusals have Ollama's statuses and words."""
    schema = {"type": "object", "properties": {"a": {"type": "foo"}}}
    told = json.loads(refused(http, "/api/chat", 400, messages=HI, format=schema))["error"]
    assert told["type"] == "invalid_request_error"
    images = [{"role": "user", "content": "What is it?", "images": ["aGVsbG8="]}]
    assert "Multimodal data provided" in refused(http, "/api/chat", 400, messages=images)
    assert "does not support insert" in refused(http, "/api/generate", 400, prompt="a", suffix="b")
    assert refused(http, "/api/chat", 400, messages=HI, think=True) == (
        '"tiny-chat" does not support thinking'
    )
    assert "does not support embeddings" in refused(http, "/api/embed", 501, input="a")
    assert refused(http, "/api/chat", 400, model="tiny-embed", messages=HI) == (
        '"tiny-embed" does not support chat'
    )


def test_sixteen_streams_at_once(engine: EmbeddedOllama) -> None:
    """Sixteen clients share two slots, and each gets its own whole answer."""

    def ask(_: int) -> str:
        with httpx.Client(base_url=engine.url, timeout=120, trust_env=False) as http:
            answer = lines(http, "/api/chat", messages=HI)
        return "".join(line["message"]["content"] for line in answer)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [HELLO] * 16


def test_vectors(http: httpx.Client) -> None:
    """Vectors are of unit length and in order; dimensions cuts them, a long text is cut."""
    texts = ["The sky is blue.", "Cats eat fish.", SKY * 500]
    answer = http.post("/api/embed", json={"model": "tiny-embed", "input": texts}).json()
    assert [len(vector) for vector in answer["embeddings"]] == [128] * 3
    for vector in answer["embeddings"]:
        assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-3)
    assert 512 < answer["prompt_eval_count"] < 512 + 30
    short = {"model": "tiny-embed", "input": texts[1], "dimensions": 8}
    (vector,) = http.post("/api/embed", json=short).json()["embeddings"]
    assert len(vector) == 8
    assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-3)
    assert refused(http, "/api/embed", 400, model="tiny-embed", input=texts, truncate=False) == (
        "the input length exceeds the context length"
    )


def test_show_and_tags_describe_the_gguf_file(http: httpx.Client) -> None:
    """What a model can do, its size and its template are those of its file."""
    real = recording("show/tiny-native").objects[0]
    ours = http.post("/api/show", json={"model": "tiny-chat"}).json()
    for field in ("template", "details"):
        assert ours[field] == real[field], field
    # Ollama lays the tensors out anew.
    by_name = {tensor["name"]: tensor for tensor in real["tensors"]}
    assert {tensor["name"]: tensor for tensor in ours["tensors"]} == by_name
    assert sorted(ours["capabilities"]) == sorted(real["capabilities"])
    shared = set(ours["model_info"]) & set(real["model_info"])
    assert len(shared) > 15
    assert {n: ours["model_info"][n] for n in shared} == {n: real["model_info"][n] for n in shared}
    sizes = {model["name"]: model["size"] for model in http.get("/api/tags").json()["models"]}
    assert sizes == {"tiny-chat:latest": 2430016, "tiny-embed:latest": 1211328}


def test_the_prompt_is_that_of_the_models_own_template(http: httpx.Client) -> None:
    """What `_debug_render_only` tells is what the template in the file writes."""
    messages = [{"role": "system", "content": "Be brief."}, *HI]
    told = chat(http, messages, _debug_render_only=True)
    assert told["_debug_info"]["rendered_template"] == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
