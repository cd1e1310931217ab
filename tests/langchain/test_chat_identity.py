"""How a model shows itself: cached, traced, serialised and printed, with no secret in it."""

import copy
import pickle
from typing import Any

import pytest
from chat_ways import model_on, whole
from core_ways import call, fields_of
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedOllama

_SECRETS = {
    "api_key": "sesame-key",
    "headers": {"X-Api-Key": "sesame-header", "X-Team": "blue"},
}


@pytest.mark.parametrize(
    "other",
    [
        {"model": "n"},
        {"temperature": 1},
        {"num_ctx": 9},
        {"reasoning": True},
        {"format": "json"},
        {"base_url": "http://127.0.0.1:11435"},
        {"seed": 1},
        {"logprobs": True},
    ],
)
def test_two_models_never_share_a_cache_entry(run: Run, other: dict[str, Any]) -> None:
    """Models that differ in anything ask for themselves; equal ones share (c5)."""
    cache = InMemoryCache()
    first, _ = model_on(whole("first"), cache=cache)
    second, asked = model_on(whole("second"), cache=cache, **other)
    third, unasked = model_on(whole("third"), cache=cache)
    found = [call(run, model, "invoke", "x").content for model in (first, second, third)]
    assert found == ["first", "second", "first"]
    assert (len(asked.requests), len(unasked.requests)) == (1, 0)


def test_a_changed_copy_has_a_cache_entry_of_its_own(run: Run) -> None:
    """A copy with another temperature, and a field set later, count (c5)."""
    cache = InMemoryCache()
    model, network = model_on(whole("a"), whole("b"), whole("c"), cache=cache)
    assert call(run, model, "invoke", "x").content == "a"
    assert call(run, model.model_copy(update={"temperature": 1}), "invoke", "x").content == "b"
    model.temperature = 0.5
    assert call(run, model, "invoke", "x").content == "c"
    assert len(network.requests) == 3


def test_traces_have_the_call_without_secrets(run: Run) -> None:
    """Traces have model, options and version, honour the call's, and show no secret (c13, c23)."""
    seen: list[dict[str, Any]] = []

    class Tracer(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            seen.append({"serialized": serialized, **kwargs})

    model, _ = model_on(whole(), temperature=0.5, num_ctx=9, **_SECRETS)
    config = {"callbacks": [Tracer()]}
    how = {"temperature": 0.7, "model": "n", "api_key": "sesame-call"}
    call(run, model, "invoke", "x", config=config, **how)
    told = seen[0]
    assert told["invocation_params"]["num_ctx"] == 9
    assert told["invocation_params"]["temperature"] == 0.7
    assert told["metadata"]["ls_model_name"] == "n"
    assert told["metadata"]["ls_temperature"] == 0.7
    assert told["metadata"]["ls_provider"] == "ollama"
    if hasattr(model, "_add_version"):  # core keeps versions from 1.5 on
        assert set(told["metadata"]["lc_versions"]) >= {"langchain-core", "ollama-ext"}
    assert "sesame" not in repr(told)


def test_langsmith_parameters_honour_the_call() -> None:
    """Limits, stops and temperature are the call's, else the model's (c23)."""
    model = ChatOllama(model="m", temperature=0, num_predict=5, stop=["a"])
    told = model._get_ls_params(stop=["b"], options={"temperature": 1}, max_tokens=9)
    assert told["ls_temperature"] == 1
    assert told["ls_max_tokens"] == 9
    assert told["ls_stop"] == ["a", "b"]
    assert model._get_ls_params()["ls_max_tokens"] == 5


def test_no_secret_is_shown() -> None:
    """repr, str, dumps, dumped fields and pickles hold no key, password or header (c13)."""
    for given in (_SECRETS, {"base_url": "https://user:sesame@h", "headers": {}}):
        model = ChatOllama(model="m", **given)  # type: ignore[arg-type] # a table of arguments
        shown = [
            repr(model),
            str(model),
            dumps(model),
            str(model.model_dump()),
            str(fields_of(model)),
        ]
        shown.append(pickle.dumps(model).decode("latin-1"))
        shown.append(repr(model.bind(temperature=1)))
        assert not [text for text in shown if "sesame" in text]


def test_arguments_are_not_shared_with_the_caller() -> None:
    """Two models of one dict of headers do not learn each other's keys (c13)."""
    shared = {"headers": {"X-Team": "blue"}}
    before = copy.deepcopy(shared)
    ChatOllama(model="m", base_url="https://user:sesame@h", client_kwargs=shared)
    assert shared == before


def test_no_class_promises_what_core_cannot_load() -> None:
    """Core's load refuses other packages than its own: no model says that it works."""
    assert not ChatOllama.is_lc_serializable()
    assert dumpd(ChatOllama(model="m"))["type"] == "not_implemented"


@pytest.mark.parametrize(
    "change", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_and_pickles_answer(run: Run, server: EmbeddedOllama, change: Any) -> None:
    """A model that was used travels and works on (c10)."""
    model = ChatOllama(model="demo", base_url=server.url, temperature=0)
    call(run, model, "invoke", "x")
    made = change(model)
    assert made.temperature == 0
    assert call(run, made, "invoke", "Hello").content.startswith("Hello")
    call(run, model, "close")
    call(run, made, "close")
