"""Docstrings of the public classes: their examples run as they stand, and fields are described."""

import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import found_by_environment
from pydantic import BaseModel
from weights import MODELS as WEIGHTS
from weights import needs_engine

import langchain_ollama_ext
import llamaindex_ollama_ext
import ollama_transport
from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext import embedded
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, GgufModel, Reply
from ollama_transport import AsyncClient, Budget, Client, OllamaError, StreamError, UsageLedger

MODEL_CLASSES = (ChatOllama, OllamaLLM, OllamaEmbeddings, Ollama, OllamaEmbedding)
PACKAGES = (langchain_ollama_ext, llamaindex_ollama_ext, ollama_transport, embedded)
PUBLIC = [getattr(package, name) for package in PACKAGES for name in package.__all__]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks_of(described: object) -> list[str]:
    """Return the examples in a docstring; [] for none."""
    found: list[str] = BLOCK.findall(inspect.getdoc(described) or "")
    return found


SHOWING = [one for one in dict.fromkeys(PUBLIC) if blocks_of(one) and one is not GgufModel]
CAPABILITIES = ("completion", "tools", "thinking")
MODELS = [
    EmbeddedModel("llama3.2", capabilities=CAPABILITIES),
    EmbeddedModel("qwen3:8b", capabilities=CAPABILITIES),
    EmbeddedModel("llava", capabilities=("completion", "vision")),
    EmbeddedModel("nomic-embed-text", capabilities=("embedding",)),
]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    """A server that has the models of the examples, all of which follow rules."""
    with EmbeddedOllama(MODELS) as running:
        yield running


def run_examples(described: object) -> None:
    """Run the examples of a docstring one after the other."""
    names: dict[str, Any] = {"__name__": "__example__"}
    for block in blocks_of(described):
        exec(block, names)


@pytest.mark.parametrize("described", SHOWING, ids=lambda one: one.__name__)
def test_the_example_of_a_class_runs(
    described: object,
    server: EmbeddedOllama,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who copies it out of an editor's help gets an answer, and no error."""
    with found_by_environment(server, monkeypatch):
        run_examples(described)
    assert capsys.readouterr().out.strip()


@needs_engine
def test_the_example_of_a_model_of_weights_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs any GGUF file: here a tiny one under the name that the example has."""
    shutil.copy(WEIGHTS / "tiny-chat.gguf", tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf")
    monkeypatch.chdir(tmp_path)
    run_examples(GgufModel)
    assert capsys.readouterr().out.strip()


SHOWN = {
    ChatOllama: "invoke stream asyncio bind_tools with_structured_output image reasoning usage",
    OllamaLLM: "invoke stream asyncio token_usage format=",
    OllamaEmbeddings: "embed_documents embed_query asyncio usage_total",
    Ollama: "complete chat stream_chat asyncio chat_with_tools as_structured_llm ImageBlock "
    "thinking=True usage",
    OllamaEmbedding: "get_query_embedding get_text_embedding_batch asyncio usage_total",
    Client: "chat stream=True tools= think=True format= images usage embed",
    AsyncClient: "await asyncio.run stream=True usage embed",
    EmbeddedOllama: "with script requests",
    EmbeddedModel: "engine=",
    GgufModel: "GgufModel( parameters= invoke",
    Reply: "Reply.chat Reply.error Reply.cut tool_calls= delay_s=",
    Budget: "max_requests max_tokens spent BudgetExceededError",
    UsageLedger: "Price snapshot total_tokens cost",
    OllamaError: "except ModelNotFoundError model status_code",
    StreamError: "except received",
}


@pytest.mark.parametrize(
    ("described", "ways"), SHOWN.items(), ids=lambda one: getattr(one, "__name__", "ways")
)
def test_each_way_to_use_a_class_is_shown(described: type, ways: str) -> None:
    """Ask, stream, asyncio, tools, structured output, images, reasoning, usage: what applies."""
    shown = "".join(blocks_of(described))
    assert [way for way in ways.split() if way not in shown] == []


# What an example of another class shows.
SHOWN_WITH = {
    "Call": "Meter",
    "CallRecord": "Meter",
    "Endpoint": "parse_host",
    "ErrorResponse": "OllamaError",
    "FetchAnswer": "SearchAnswer",
    "Listed": "ModelSummary",
    "Message": "Answer",
    "ModelDetails": "ModelSummary",
    "ModelTotals": "UsageLedger",
    "Prompt": "Answer",
    "SearchHit": "SearchAnswer",
    "SystemOneChoiceAnswer": "SystemOneResponse",
    "SystemOneNoulAnswer": "SystemOneResponse",
    "SystemOneNoulQuestion": "SystemOneChoiceQuestion",
    "SystemOneScoreAnswer": "SystemOneResponse",
    "SystemOneScoreQuestion": "SystemOneChoiceQuestion",
    "SystemOneUsage": "SystemOneResponse",
    "ToolCallDelta": "ChatLine",
    "uninstrument": "instrument",
}


def test_every_public_class_and_function_shows_an_example() -> None:
    """In its own docstring, or in that of its base (errors, warnings) or of what it comes with."""
    shown = {one.__name__ for one in SHOWING} | {GgufModel.__name__}
    named = [one for one in PUBLIC if inspect.isclass(one) or inspect.isfunction(one)]
    lacking = {
        one.__name__
        for one in named
        if one.__name__ not in shown
        and not (inspect.isclass(one) and issubclass(one, OllamaError | Warning))
        and SHOWN_WITH.get(one.__name__) not in shown
    }
    assert lacking == set()
    assert SHOWN_WITH.keys() <= {one.__name__ for one in named}


@pytest.mark.parametrize("described", MODEL_CLASSES, ids=lambda one: one.__name__)
def test_each_field_is_described(described: type[BaseModel]) -> None:
    """Also those that a framework's own class brings, in the class and in its JSON schema."""
    fields = described.__pydantic_fields__
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_framework_s_own_classes_stay_as_they_are() -> None:
    """Descriptions of ours are on our classes alone."""
    (core,) = (base for base in ChatOllama.__mro__ if base.__name__ == "BaseChatModel")
    fields = core.__pydantic_fields__  # type: ignore[attr-defined]  # a pydantic model
    assert (
        fields["rate_limiter"].description
        != ChatOllama.__pydantic_fields__["rate_limiter"].description
    )
