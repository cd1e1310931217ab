"""A planted secret shows up nowhere: objects, errors, chains, logs, dumps, pickles, traces.

Each way to give a secret, to each public object of the three packages, through each kind of
failure. What is searched is what a person, a log, a tracker of errors or a store gets to see.
"""

import copy
import json
import logging
import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import httpx
import pytest
from faked import Network, Pieces, status
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from recorded import recording
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_transport import (
    AsyncClient,
    ChatRequest,
    Client,
    Message,
    OllamaError,
    UsageLedger,
)

SECRET = "pl4nted-s3cret"
BASIC = b64encode(f"user:{SECRET}".encode()).decode()
URL = "http://127.0.0.1:1"
WAYS: dict[str, dict[str, Any]] = {
    "api_key": {"api_key": SECRET},
    "user of the URL": {"base_url": f"http://{SECRET}@127.0.0.1:1"},
    "password of the URL": {"base_url": f"http://user:{SECRET}@127.0.0.1:1"},
    "authorization": {"headers": {"Authorization": f"Token {SECRET}"}},
    "header of a gateway": {"headers": {"CF-Access-Client-Secret": SECRET}},
    "proxy-authorization": {"headers": {"proxy-authorization": SECRET}},
    "cookie": {"headers": {"Cookie": f"session={SECRET}"}},
    "headers of httpx": {"client_kwargs": {"headers": {"x-api-key": SECRET}}},
    "params": {"client_kwargs": {"params": {"api_key": SECRET}}},
    "params as text": {"client_kwargs": {"params": f"code={SECRET}"}},
    "cookies": {"client_kwargs": {"cookies": {"sid": SECRET}}},
    "auth": {"client_kwargs": {"auth": ("user", SECRET)}},
    "proxy": {"client_kwargs": {"proxy": f"http://user:{SECRET}@127.0.0.1:1"}},
}


def _asks(method: str, *arguments: Any) -> Callable[[Any, Run], Any]:
    def ask(model: Any, run: Run) -> Any:
        name = ("a" + method) if run.is_async else method
        return run(getattr(model, name)(*arguments))

    return ask


def _chat(client: Any, run: Run) -> Any:
    return run(client.chat(ChatRequest("m", [Message("user", "Hello")])))


def _embed(model: Any, run: Run) -> Any:
    method = model.aget_text_embedding if run.is_async else model.get_text_embedding
    return run(method("Hello"))


OBJECTS: dict[str, tuple[Callable[..., Any], Callable[[Any, Run], Any]]] = {
    "ChatOllama": (ChatOllama, _asks("invoke", "Hello")),
    "OllamaLLM": (OllamaLLM, _asks("invoke", "Hello")),
    "OllamaEmbeddings": (OllamaEmbeddings, _asks("embed_query", "Hello")),
    "Ollama": (Ollama, _asks("complete", "Hello")),
    "OllamaEmbedding": (OllamaEmbedding, _embed),
    "Client": (Client, _chat),
}
FAILURES: dict[str, Callable[[], Any]] = {
    "not there": lambda: httpx.ConnectError("refused"),
    "header refused": lambda: httpx.LocalProtocolError(f"Illegal header value b'{SECRET}'"),
    "timeout": lambda: httpx.ReadTimeout("slow"),
    "401": lambda: status(401, "who are you?"),
    "500 page": lambda: httpx.Response(500, text="<html>no</html>"),
    "no JSON": lambda: httpx.Response(200, text="<html>login</html>"),
    "cut": lambda: httpx.Response(200, stream=Pieces([b'{"mess'], httpx.ReadError("cut"))),
}


def made(kind: str, way: str, run: Run, transport: Any = None) -> Any:
    settings: dict[str, Any] = {"base_url": URL, "max_retries": 0, **WAYS[way]}
    make = OBJECTS[kind][0]
    if transport is not None:
        given = settings.get("client_kwargs", {})
        settings["client_kwargs"] = {**given, "transport": transport}
    if kind == "Client":
        make = AsyncClient if run.is_async else Client
    elif kind.endswith("Embedding"):
        settings["model_name"] = "m"
    else:
        settings["model"] = "m"
    return make(**settings)


def texts_of(value: Any) -> Iterator[str]:
    """Yield what shows an object: its texts, dumps and pickles, and those of its copies."""
    yield from (repr(value), str(value))
    yield repr(copy.deepcopy(value))
    yield pickle.dumps(value).decode("latin-1")
    for name in ("model_dump", "model_dump_json", "to_dict", "to_json"):
        if callable(method := getattr(value, name, None)):
            yield str(method())
    for name in ("_identifying_params", "_llm_type", "lc_attributes", "lc_secrets", "metadata"):
        yield str(getattr(value, name, ""))
    if hasattr(value, "_get_ls_params"):
        yield str(value._get_ls_params())
    yield dumps(value)


def texts_of_error(error: BaseException) -> Iterator[str]:
    """Yield what shows an error and its chain, as trackers write them: variables of frames, too."""
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    yield pickle.dumps(error).decode("latin-1")
    seen: list[BaseException | None] = [error]
    for link in seen:
        if link is None:
            continue
        seen += [x for x in (link.__cause__, link.__context__) if x is not None and x not in seen]
        yield from (str(link), repr(link), repr(link.args), repr(vars(link)))
        request = vars(link).get("_request")
        yield "" if request is None else f"{request.url} {request.headers.raw}"


def check(texts: Iterator[str]) -> None:
    for text in texts:
        assert SECRET not in text
        assert BASIC not in text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", OBJECTS)
# LlamaIndex says so of fields that cannot be pickled.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_object_shows_a_secret(run: Run, kind: str, way: str) -> None:
    """Neither a text, a copy, a dump nor a pickle of an object has it."""
    check(texts_of(made(kind, way, run)))


def failed(ask: Callable[[Any, Run], Any], model: Any, run: Run) -> OllamaError:
    try:
        ask(model, run)
    except OllamaError as error:
        return error
    raise AssertionError("the call did not fail")


# All failures of one object, and for the others those that come by ways of their own.
FAILED = [("ChatOllama", name) for name in FAILURES]
FAILED += [(k, n) for k in OBJECTS if k != "ChatOllama" for n in ("header refused", "401")]


@pytest.mark.parametrize(("kind", "failure"), FAILED)
@pytest.mark.parametrize("way", WAYS)
def test_no_error_and_no_log_shows_a_secret(
    run: Run, way: str, kind: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Message, chain, variables of frames, pickle and every line of every log are without it."""
    model = made(kind, way, run, Network(FAILURES[failure]()))
    with caplog.at_level(logging.DEBUG):
        error = failed(OBJECTS[kind][1], model, run)
    check(texts_of_error(error))
    check(f"{record.getMessage()} {record.args}" for record in caplog.records)
    run(model.aclose() if run.is_async else model.close())


class _Traces(BaseCallbackHandler):
    """Keep what LangChain tells a tracer."""

    run_inline = True
    raise_error = True

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_chat_model_start(self, *given: Any, **named: Any) -> None:
        self.told.append(f"{given} {named}")

    on_llm_start = on_chat_model_start
    on_llm_end = on_chat_model_start


class _Events(BaseEventHandler):
    """Keep what LlamaIndex tells a tracer."""

    told: ClassVar[list[str]] = []

    def handle(self, event: Any, **_: Any) -> None:
        self.told.append(event.model_dump_json())


ANSWERS = {
    "ChatOllama": "chat/tiny-chat/hello-whole",
    "OllamaLLM": "generate/whole",
    "Ollama": "chat/tiny-chat/hello-whole",
}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "proxy"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_no_trace_and_no_ledger_shows_a_secret(
    run: Run, kind: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What tracers of both frameworks are told of a call is without it, and so is the log."""
    traces, events, ledger = _Traces(), _Events(), UsageLedger()
    model = made(kind, way, run, Network(recording(ANSWERS[kind])))
    model.ledger = ledger
    told = {"config": {"callbacks": [traces]}} if kind != "Ollama" else {}
    root = get_dispatcher()
    root.add_event_handler(events)
    try:
        with caplog.at_level(logging.DEBUG):
            method = OBJECTS[kind][1] if kind == "Ollama" else None
            answer = method(model, run) if method else run(_invoked(model, run, told))
    finally:
        root.event_handlers.remove(events)
    assert traces.told or events.told
    shown = [*traces.told, *events.told, repr(answer), repr(ledger.snapshot())]
    check(iter([*shown, json.dumps([vars(ledger)], default=repr)]))
    check(f"{record.getMessage()} {record.args}" for record in caplog.records)
    run(model.aclose() if run.is_async else model.close())


def _invoked(model: Any, run: Run, told: dict[str, Any]) -> Any:
    return (model.ainvoke if run.is_async else model.invoke)("Hello", **told)


def test_httpx_logs_the_url_without_the_key(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The line stays, and so does the name of the parameter: its value alone is hidden."""
    network = Network("version")
    client = run.client(transport=network, client_kwargs={"params": {"api_key": SECRET, "v": "1"}})
    with caplog.at_level(logging.INFO, logger="httpx"):
        run(client.version())
    assert network.requests[0].url.params["api_key"] == SECRET
    assert "/api/version?api_key=" in caplog.text
    assert SECRET not in caplog.text
