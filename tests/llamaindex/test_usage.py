"""Tokens are the server's, and each call is told of, counted and rate-limited once; D12."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.prompts import PromptTemplate
from llama_ways import Played, Way, answer
from pydantic import BaseModel, PrivateAttr
from running import Run
from versions import needs

from llamaindex_ollama_ext import Ollama
from ollama_transport import ModelNotFoundError

Make = Callable[..., Ollama]
KINDS = ["chat", "complete"]


class Heard(BaseEventHandler):
    """Keep the names of the events, those of a stream's chunks left out, and their payloads."""

    _events: list[BaseEvent] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Heard"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self._events.append(event)

    @property
    def names(self) -> list[str]:
        names = [type(event).__name__ for event in self._events]
        return [name for name in names if name.startswith("LLM") and "InProgress" not in name]

    @property
    def events(self) -> list[BaseEvent]:
        return self._events


class Turnstile:
    """Count how often it was passed; core has a base class for these from 0.14.16 on."""

    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.passed += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.passed += 1


@pytest.fixture
def heard() -> Any:
    """Listen to the events of LlamaIndex."""
    handler = Heard()
    root = get_dispatcher()
    root.event_handlers.append(handler)
    yield handler
    root.event_handlers.remove(handler)


def replying(kind: str, way: Way, **counts: int | None) -> Played:
    """Play an answer with these counts."""
    if kind == "chat":
        return Played(answer({"content": "hi"}, streams=way.streams, **counts))
    line = {"model": "m", "response": "hi", "done": True, "done_reason": "stop", **counts}
    return Played(httpx.Response(200, content=json.dumps(line) + "\n"))


def call(way: Way, kind: str, llm: Ollama) -> Any:
    return getattr(way, kind)(llm, "hello")[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_servers(ollama: Make, way: Way, kind: str) -> None:
    """D12: the counter holds what the server counted, of each call once."""
    counter = TokenCountingHandler()
    network = replying(kind, way, prompt_eval_count=1007, eval_count=203)
    llm = ollama(network, callback_manager=CallbackManager([counter]))
    call(way, kind, llm)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (1007, 203)
    assert len(counter.llm_token_counts) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_count_missing(ollama: Make, way: Way, kind: str) -> None:
    """D12: a server that leaves out the prompt's count (all of it cached) still tells the rest."""
    counter = TokenCountingHandler()
    network = replying(kind, way, prompt_eval_count=None, eval_count=203)
    llm = ollama(network, callback_manager=CallbackManager([counter]))
    response = call(way, kind, llm)
    assert response.raw["usage"] == {"completion_tokens": 203, "total_tokens": 203}
    assert counter.completion_llm_token_count == 203


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_is_recorded_once(ollama: Make, way: Way, heard: Heard, kind: str) -> None:
    """D12: one start and one end, for a completion as for a chat, and no other call inside."""
    network = replying(kind, way, prompt_eval_count=7, eval_count=3)
    call(way, kind, ollama(network))
    name = "LLMChat" if kind == "chat" else "LLMCompletion"
    assert heard.names == [f"{name}StartEvent", f"{name}EndEvent"]
    end: Any = heard.events[-1]
    assert end.response.raw["usage"]["total_tokens"] == 10


@needs("llama-index-core", "0.14.16", "models have no rate_limiter")
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_passes_the_rate_limiter_once(ollama: Make, way: Way, kind: str) -> None:
    """D12: a completion waits for the limiter once, not twice."""
    limiter = Turnstile()
    network = replying(kind, way, prompt_eval_count=7, eval_count=3)
    call(way, kind, ollama(network, rate_limiter=limiter))
    assert limiter.passed == 1


class Album(BaseModel):
    title: str


@pytest.mark.parametrize("structured", [True, False])
def test_structured_calls_count_once(ollama: Make, run: Run, structured: bool) -> None:
    """D12: structured_predict, and as_structured_llm over it, count the server's tokens once."""
    counter = TokenCountingHandler()
    reply = answer(
        {"content": '{"title": "x"}'}, streams=False, prompt_eval_count=1007, eval_count=203
    )
    llm = ollama(Played(reply), callback_manager=CallbackManager([counter]))
    if structured:
        wrapped = llm.as_structured_llm(Album)
        messages = [ChatMessage("An album")]
        run(wrapped.achat(messages) if run.is_async else wrapped.chat(messages))
    else:
        method = llm.astructured_predict if run.is_async else llm.structured_predict
        run(method(Album, PromptTemplate("An album")))
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (1007, 203)
    assert len(counter.llm_token_counts) == 1


def test_a_budget_of_the_counter_ends_the_call(ollama: Make, way: Way) -> None:
    """LlamaIndex's own token budget sees the real counts."""
    if "token_budget" not in TokenCountingHandler.__init__.__annotations__:
        pytest.skip("this llama-index-core has no token budget")
    counter = TokenCountingHandler(token_budget=1000)
    network = replying("chat", way, prompt_eval_count=1007, eval_count=203)
    llm = ollama(network, callback_manager=CallbackManager([counter]))
    with pytest.raises(ValueError, match="budget"):
        call(way, "chat", llm)


def test_events_leave_the_answer_alone(ollama: Make, way: Way, heard: Heard) -> None:
    """What listeners get is what the caller gets: raw stays a dict that JSON can write."""
    response = call(way, "chat", ollama(replying("chat", way, prompt_eval_count=7, eval_count=3)))
    assert isinstance(response, ChatResponse)
    assert response.raw is not None
    assert json.loads(json.dumps(response.raw)) == response.raw
    end: Any = heard.events[-1]
    assert end.response.raw == response.raw


def test_events_show_no_secret(ollama: Make, way: Way, heard: Heard) -> None:
    """D16: the events name model and temperature, and neither key nor header nor password."""
    network = replying("chat", way, prompt_eval_count=7, eval_count=3)
    llm = ollama(network, base_url="https://x.test", api_key="s3cret", temperature=0.5)
    call(way, "chat", llm)
    start: Any = heard.events[0]
    assert start.model_dict["model"] == "tiny-chat"
    assert start.model_dict["temperature"] == 0.5
    assert all("s3cret" not in str(event.model_dump()) for event in heard.events)


def test_a_prompt_by_name_or_place(ollama: Make, run: Run) -> None:
    """A prompt can be given either way, not both and not neither."""
    llm = ollama(Played("generate/whole"))
    method: Any = llm.acomplete if run.is_async else llm.complete
    assert run(method("hi")).text == run(method(prompt="hi")).text
    with pytest.raises(TypeError):
        run(method("hi", prompt="hi"))
    with pytest.raises(ValueError, match="No prompt"):
        run(method())


def test_an_error_is_reported(ollama: Make, way: Way) -> None:
    """A call that fails ends for the counters too, and raises."""
    counter = TokenCountingHandler()
    llm = ollama(Played("errors/missing-model"), callback_manager=CallbackManager([counter]))
    with pytest.raises(ModelNotFoundError):
        call(way, "chat", llm)
    assert counter.total_llm_token_count == 0
