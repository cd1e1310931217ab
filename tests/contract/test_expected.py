"""Every recording through both adapters gives what its bytes say, and every error its class."""

import json
from typing import Any

import pytest
from both_ways import (
    CHATS,
    COMPLETIONS,
    EMBEDDINGS,
    Facts,
    Outcome,
    ask_langchain,
    ask_llamaindex,
    complete_langchain,
    complete_llamaindex,
    embed_langchain,
    embed_llamaindex,
    wire,
)
from expected_answers import expected, vectors
from langchain_core.exceptions import ModelError
from recorded import all_names, recording
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from ollama_transport import ContextTruncatedWarning, OllamaError

# A recorded refusal is played again to the second, shorter try: both adapters warn in between.
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ContextTruncatedWarning.__module__}.{ContextTruncatedWarning.__name__}"
)

# Answers without their last line: the client left, or the server gave up.
CUT = {"chat/tiny-chat/closed-early", "errors/overflow-truncated"}
# Answers that say nothing: a model was loaded, or the prompt was shown instead.
EMPTY = {
    "chat/keep-alive-forever",
    "chat/load",
    "chat/tiny-chat/rendered-prompt",
    "chat/tiny-native/rendered-prompt",
    "generate/load",
}
ERRORS = {
    **dict.fromkeys(CUT, "StreamTruncatedError"),
    **dict.fromkeys(EMPTY, "EmptyAnswerError"),
    "embed/chat-model": "UnsupportedCapabilityError",
    "embed/empty-string": "ProtocolError",
    "embed/long-refused": "ContextOverflowError",
    "embed/missing-model": "ModelNotFoundError",
    "embed/wrong-type": "RequestRejectedError",
    "errors/arguments-string": "RequestRejectedError",
    "errors/bad-json": "RequestRejectedError",
    "errors/bad-name": "RequestRejectedError",
    "errors/chat-on-embedding-model": "UnsupportedCapabilityError",
    "errors/content-list": "RequestRejectedError",
    "errors/format": "RequestRejectedError",
    "errors/image-bad-base64": "RequestRejectedError",
    "errors/image-to-text-model": "UnsupportedCapabilityError",
    "errors/keep-alive": "RequestRejectedError",
    "errors/missing-model": "ModelNotFoundError",
    "errors/no-body": "RequestRejectedError",
    "errors/no-model": "RequestRejectedError",
    "errors/no-thinking": "UnsupportedCapabilityError",
    "errors/no-tools": "UnsupportedCapabilityError",
    "errors/option-type": "RequestRejectedError",
    "errors/overflow-generate": "ContextOverflowError",
    "errors/overflow-refused-native": "ContextOverflowError",
    "errors/overflow-refused-rendered": "ContextOverflowError",
    "errors/think-value": "RequestRejectedError",
    "generate/raw-and-system": "RequestRejectedError",
    "generate/suffix-unsupported": "UnsupportedCapabilityError",
    "openai/embeddings-bad-format": "RequestRejectedError",
    "openai/empty-messages": "RequestRejectedError",
    "openai/missing-model": "ModelNotFoundError",
    "openai/no-tools": "UnsupportedCapabilityError",
    "wrong-method": "RequestRejectedError",
}
# What no adapter asks for; tests/wire has them.
MANAGING = {
    "copy/missing",
    "create/blob-head-missing",
    "create/blob-mismatch",
    "create/nothing",
    "delete/missing",
    "errors/slashes",
    "openai/model-missing",
    "pull/unreachable",
    "show/missing",
    "unknown-path",
}
ADAPTERS = {"langchain": ask_langchain, "llamaindex": ask_llamaindex}


def told(outcome: Outcome) -> tuple[list[tuple[str, Any]], list[str | None]]:
    """Return the calls of an outcome, and their ids."""
    return (
        [(name, json.loads(text)) for _, name, text in outcome.calls],
        [identity for identity, _, _ in outcome.calls],
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("name", [name for name in CHATS if name not in ERRORS])
def test_a_chat_says_what_its_recording_says(run: Run, name: str, adapter: str) -> None:
    """Text, reasoning, calls and counts are those in the bytes; each call has an id of its own."""
    found, wanted = recording(name), expected(recording(name))
    outcome = ADAPTERS[adapter](run, Facts(name), wire(name), found.is_stream)
    assert outcome.error == ""
    assert (outcome.text, outcome.thinking) == (wanted.text, wanted.thinking)
    calls, ids = told(outcome)
    assert calls == [(tool, arguments) for _, tool, arguments in wanted.calls]
    sent = [identity for identity, _, _ in wanted.calls]
    assert [made if given is None else given for given, made in zip(sent, ids, strict=True)] == ids
    assert len(set(ids)) == len(ids)
    assert None not in ids
    assert_counts(outcome, wanted.prompt_tokens, wanted.completion_tokens)


def assert_counts(outcome: Outcome, prompt: int | None, completion: int | None) -> None:
    """Compare counts; one that the server left out may be an estimate."""
    if prompt is not None:
        assert outcome.prompt_tokens == prompt
    if completion is not None:
        assert outcome.completion_tokens == completion


@pytest.mark.parametrize("ask", [complete_langchain, complete_llamaindex])
@pytest.mark.parametrize("name", [name for name in COMPLETIONS if name not in ERRORS])
def test_a_completion_says_what_its_recording_says(run: Run, name: str, ask: Any) -> None:
    """Text, reasoning and counts are those in the bytes."""
    found, wanted = recording(name), expected(recording(name))
    outcome = ask(run, Facts(name), wire(name), found.is_stream)
    assert (outcome.error, outcome.text, outcome.thinking) == ("", wanted.text, wanted.thinking)
    assert_counts(outcome, wanted.prompt_tokens, wanted.completion_tokens)


def texts_of(name: str) -> list[str]:
    given = recording(name).body["input"]
    return [str(text) for text in (given if isinstance(given, list) else [given])]


@pytest.mark.parametrize("embed", [embed_langchain, embed_llamaindex])
@pytest.mark.parametrize("name", [name for name in EMBEDDINGS if name not in ERRORS])
def test_vectors_are_those_of_the_recording(run: Run, name: str, embed: Any) -> None:
    """Each number is the one in the bytes, base64 or not."""
    assert embed(run, name, texts_of(name)) == vectors(recording(name))


def failures(run: Run, name: str) -> list[Outcome]:
    """Return what each adapter makes of a recorded error, in every way to call."""
    if name in EMBEDDINGS:
        return [embed(run, name, texts_of(name)) for embed in (embed_langchain, embed_llamaindex)]
    asks = (ask_langchain, ask_llamaindex)
    if name in COMPLETIONS:
        asks = (complete_langchain, complete_llamaindex)
    ways = [True] if name in CUT else [True, False]
    return [ask(run, Facts(name), wire(name), streams) for ask in asks for streams in ways]


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_recorded_error_has_its_class(run: Run, name: str) -> None:
    """Both adapters raise the class that says what to do, with the server's status."""
    status = recording(name).status
    wanted = (ERRORS[name], status if status >= 400 else None)
    assert [(o.error, o.status) for o in failures(run, name)] == [wanted] * len(failures(run, name))


@pytest.mark.parametrize("name", [name for name in sorted(CUT) if recording(name).objects])
def test_a_cut_answer_keeps_what_came(run: Run, name: str) -> None:
    """The text up to the cut is in the error."""
    text = expected(recording(name)).text
    assert {outcome.received for outcome in failures(run, name)} == {text}


@pytest.mark.parametrize("name", sorted(ERRORS.keys() - CUT - EMPTY))
def test_recorded_errors_have_their_langchain_class(name: str) -> None:
    """What comes out of the LangChain adapter is of core's family as well."""
    kwargs: dict[str, Any] = {"client_kwargs": {"transport": Facts(name)}, **wire(name)}
    asked: dict[Any, Any] = {
        name in EMBEDDINGS: lambda: OllamaEmbeddings(model="m", **kwargs).embed_documents(["a"]),
        name in COMPLETIONS: lambda: OllamaLLM(model="m", **kwargs).invoke("hi"),
        name in CHATS: lambda: ChatOllama(model="m", **kwargs).invoke("hi"),
    }
    with pytest.raises(ModelError) as caught:
        asked[True]()
    assert isinstance(caught.value, OllamaError)


def test_no_recorded_error_is_forgotten() -> None:
    """Every refusal on disk has its class in the table, or a reason to be left out."""
    refused = {name for name in all_names() if recording(name).status >= 400}
    assert refused <= ERRORS.keys() | MANAGING


def test_no_generating_recording_is_forgotten() -> None:
    """Every answer of a model on disk goes through both adapters."""
    paths = ("/api/chat", "/api/generate", "/api/embed", "/v1/chat", "/v1/comp", "/v1/embed")
    # The legacy endpoint for one text is called by neither adapter.
    generating = {
        name
        for name in all_names()
        if recording(name).path.startswith(paths) and recording(name).path != "/api/embeddings"
    }
    assert generating == {*CHATS, *COMPLETIONS, *EMBEDDINGS}
