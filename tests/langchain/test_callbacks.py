"""What the callbacks of a program see of a call: its tokens, and the server's figures."""

from typing import Any

import pytest
from chat_ways import LAST, model_on, streamed, whole
from core_ways import call
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_core.tracers.base import BaseTracer
from running import Run

from langchain_ollama_ext import OllamaLLM
from ollama_ext.embedded import EmbeddedOllama

_HI = "H", "i"


class _Reader(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tokens: list[Any] = []
        self.results: list[LLMResult] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        self.results.append(response)


class _AsyncReader(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.tokens: list[Any] = []

    async def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)


class _Ender(BaseCallbackHandler):
    def __init__(self) -> None:
        self.results: list[LLMResult] = []

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        self.results.append(response)


class _Tracer(BaseTracer):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def _persist_run(self, run: Any) -> None:
        self.names += [event["name"] for event in run.events]


def _answer() -> Any:
    return streamed(*({"content": text} for text in _HI))


@pytest.mark.parametrize("place", ["constructor", "call"])
def test_invoke_tells_its_tokens_to_a_handler_that_reads_them(run: Run, place: str) -> None:
    """A handler that prints tokens works with invoke, as with langchain-ollama."""
    reader = _Reader()
    given = {"callbacks": [reader]}
    model, _ = model_on(_answer(), **(given if place == "constructor" else {}))
    said = call(run, model, "invoke", "x", given if place == "call" else None)
    assert [token for token in reader.tokens if token] == list(_HI)
    assert said.content == "Hi"
    assert said.response_metadata["eval_count"] == LAST["eval_count"]


def test_an_asynchronous_handler_reads_tokens_of_ainvoke(run: Run) -> None:
    """As the handlers behind web sockets do, which are made for agenerate."""
    if not run.is_async:
        pytest.skip("asynchronous handlers belong to asynchronous calls")
    reader = _AsyncReader()
    model, _ = model_on(_answer())
    call(run, model, "invoke", "x", {"callbacks": [reader]})
    assert [token for token in reader.tokens if token] == list(_HI)


@pytest.mark.parametrize(
    "off", [{"streaming": False}, {"disable_streaming": True}, {"stream": False}]
)
def test_no_tokens_are_told_where_streaming_is_off(run: Run, off: dict[str, bool]) -> None:
    """Switched off, in the model or in the call, the handler gets the end alone."""
    reader = _Reader()
    per_call = off if "stream" in off else {}
    model, _ = model_on(_answer(), **({} if per_call else off))
    call(run, model, "invoke", "x", {"callbacks": [reader]}, **per_call)
    assert reader.tokens == []
    assert reader.results[0].generations[0][0].text == "Hi"


@pytest.mark.parametrize("reads", [False, True])
def test_generation_info_has_the_servers_figures(run: Run, reads: bool) -> None:
    """Callbacks that count tokens read them there, of whole answers and of streams."""
    model, _ = model_on(_answer() if reads else whole("Hi"))
    handler = _Reader() if reads else _Ender()
    said = call(run, model, "invoke", "x", {"callbacks": [handler]})
    (generation,) = handler.results[0].generations[0]
    assert generation.generation_info is not None
    assert LAST.items() <= generation.generation_info.items()
    assert generation.generation_info.items() <= said.response_metadata.items()


def test_tracers_record_whole_answers(run: Run) -> None:
    """They want no token of an invoke, so none is made for them."""
    tracer = _Tracer()
    model, _ = model_on(_answer())
    assert call(run, model, "invoke", "x", {"callbacks": [tracer]}).content == "Hi"
    assert "new_token" not in tracer.names


def test_a_text_model_tells_its_tokens_as_well(run: Run, server: EmbeddedOllama) -> None:
    """OllamaLLM has the same rule."""
    reader = _Reader()
    llm = OllamaLLM(model="demo", base_url=server.url, callbacks=[reader])
    said = call(run, llm, "invoke", "Hello")
    call(run, llm, "close")
    assert len(reader.tokens) > 2
    assert "".join(reader.tokens) == said
