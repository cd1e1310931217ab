"""What every model class takes beside its own fields reaches the requests it sends."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faked import Network, status
from pydantic import ConfigDict

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import (
    Budget,
    BudgetExceededError,
    Client,
    ConfigError,
    ServerBusyError,
    ServerFields,
    StatusError,
    UnsupportedOptionError,
    UsageLedger,
)
from ollama_transport.client.resolved import DECIDING

Make = Callable[..., Any]


def langchain_chat(**fields: Any) -> Any:
    return ChatOllama(model="demo", **fields), "invoke"


def langchain_text(**fields: Any) -> Any:
    return OllamaLLM(model="demo", **fields), "invoke"


def langchain_vectors(**fields: Any) -> Any:
    return OllamaEmbeddings(model="demo-embed", **fields), "embed_query"


def llamaindex_text(**fields: Any) -> Any:
    return Ollama("demo", **fields), "complete"


def llamaindex_vectors(**fields: Any) -> Any:
    return OllamaEmbedding("demo-embed", **fields), "get_query_embedding"


TALKERS = [langchain_chat, langchain_text, llamaindex_text]
EMBEDDERS = [langchain_vectors, llamaindex_vectors]
ALL = [*TALKERS, *EMBEDDERS]


def ask(make: Make, **fields: Any) -> Any:
    model, method = make(**fields)
    with model:
        return getattr(model, method)("Hi")


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    running.reset()
    return running


def last_body(server: EmbeddedOllama) -> dict[str, Any]:
    generating = ("chat", "generate", "embed", "completions", "embeddings")
    asked = [r for r in server.requests if r.path.rpartition("/")[2] in generating]
    body = asked[-1].json
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize("make", ALL)
def test_extra_body_is_sent_with_every_request(make: Make, server: EmbeddedOllama) -> None:
    """A field that one kind of server alone reads goes out as it is."""
    ask(make, base_url=f"{server.url}/v1", extra_body={"guided_choice": ["a"], "user": "me"})
    sent = last_body(server)
    assert (sent["guided_choice"], sent["user"]) == (["a"], "me")


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("option", [{"num_ctx": 4096}, {"keep_alive": "5m"}])
def test_options_that_v1_lacks_are_errors(
    make: Make, server: EmbeddedOllama, option: dict[str, Any]
) -> None:
    """The option is named, and nothing is generated."""
    with pytest.raises(UnsupportedOptionError, match=next(iter(option))) as caught:
        ask(make, base_url=f"{server.url}/v1", api="openai", **option)
    assert caught.value.option in option
    assert not any("completions" in request.path for request in server.requests)


@pytest.mark.parametrize("make", ALL)
def test_it_is_dropped_when_that_is_wanted(make: Make, server: EmbeddedOllama) -> None:
    """The rest of the request goes out."""
    given: dict[str, Any] = {"num_ctx": 4096, "keep_alive": "5m", "unsupported_options": "drop"}
    assert ask(make, base_url=f"{server.url}/v1", api="openai", **given)
    assert not {"num_ctx", "keep_alive", "options"} & last_body(server).keys()


@pytest.mark.parametrize("make", ALL)
def test_a_model_without_options_works_on_the_second_wire(
    make: Make, server: EmbeddedOllama
) -> None:
    """Nothing that a model sends by default is refused there."""
    assert ask(make, base_url=f"{server.url}/v1", api="openai")


@pytest.mark.parametrize("make", ALL)
def test_a_wrong_policy_is_refused_early(make: Make) -> None:
    """A typing mistake is found in the constructor."""
    with pytest.raises(ConfigError, match="unsupported_options"):
        make(unsupported_options="ignore")


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("retries", [0, 3])
def test_retries_are_set_for_each_model(
    make: Make, retries: int, caplog: pytest.LogCaptureFixture
) -> None:
    """So many tries after the first, each logged; then the server's own error."""
    caplog.set_level(logging.INFO, "ollama_transport")
    network = Network(status(503, "busy", retry_after="0"))
    with pytest.raises(ServerBusyError):
        ask(make, max_retries=retries, client_kwargs={"transport": network})
    generating = [path for path in network.paths if path != "/api/show"]
    assert len(generating) == retries + 1
    assert caplog.text.count("failed, next one in") >= retries


@pytest.mark.parametrize("make", ALL)
def test_the_wait_between_tries_is_bounded(make: Make) -> None:
    """A server that asks for more patience than allowed is not waited for."""
    network = Network(status(503, "busy", retry_after="3600"))
    with pytest.raises(ServerBusyError):
        ask(make, max_retries=5, retry_max_wait_s=0.5, client_kwargs={"transport": network})
    assert len([path for path in network.paths if path != "/api/show"]) == 1


@pytest.mark.parametrize("make", TALKERS)
def test_on_token_gets_the_text(make: Make, server: EmbeddedOllama) -> None:
    """One function serves for a log of everything that is written."""
    heard: list[str] = []
    ask(make, base_url=server.url, on_token=lambda text, _: heard.append(text))
    assert "".join(heard)


@pytest.mark.parametrize("make", ALL)
def test_a_budget_holds_for_every_class(make: Make, server: EmbeddedOllama) -> None:
    """The second call is forbidden."""
    budget = Budget(max_requests=1)
    ask(make, base_url=server.url, budget=budget)
    with pytest.raises(BudgetExceededError):
        ask(make, base_url=server.url, budget=budget)


@pytest.mark.parametrize("make", ALL)
def test_a_given_client_cannot_be_told_what_to_count(make: Make) -> None:
    """What only a model's own clients would do is an error beside a given one, and not dropped."""
    model, _ = make(ledger=UsageLedger())
    with pytest.raises(ConfigError, match="ledger"):
        model.use_clients(Client("http://127.0.0.1:1"))


def test_every_field_of_the_server_decides_what_is_resolved() -> None:
    """A field that were missing there could be changed without effect."""
    of_requests = {"extra_body", "unsupported_options"}
    assert set(DECIDING) == set(ServerFields.model_fields) - of_requests


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda model: setattr(model, "timeout", 3), lambda s: s.timeouts.read_s == 3),
        (lambda model: setattr(model, "headers", {"a": "b"}), lambda s: ("a", "b") in s.headers),
        (lambda model: model.headers.update(c="d"), lambda s: ("c", "d") in s.headers),
        (lambda model: setattr(model, "base_url", "h:1"), lambda s: s.base_url == "h:1"),
    ],
)
def test_settings_follow_the_fields(change: Any, found: Any) -> None:
    """Settings are worked out once, and anew when a field changes, inside of a mapping too."""
    model = ChatOllama(model="m", headers={"x": "y"})
    before = model.server_settings()
    assert model.server_settings() is before
    change(model)
    assert found(model.server_settings())


def test_a_call_uses_the_client_kwargs_that_the_model_has_then() -> None:
    """Arguments for httpx that change after the first call, on the model or a copy, are used."""
    first, second, third = (Network(status(400, text)) for text in ("first", "second", "third"))
    model = ChatOllama(model="m", client_kwargs={"transport": first})
    copy = model.model_copy()
    copy.client_kwargs = {"transport": third}
    for network in (first, second):
        model.client_kwargs["transport"] = network
        with pytest.raises(StatusError):
            model.invoke("x")
    with pytest.raises(StatusError):
        copy.invoke("x")
    assert [len(network.requests) for network in (first, second, third)] == [1, 1, 1]


# Names that programs give to attributes of their subclasses.
_USUAL_NAMES = (
    *("_cache", "_client", "_config", "_count", "_history", "_key", "_lock", "_log", "_logger"),
    *("_model", "_name", "_options", "_processed", "_query", "_request", "_retries", "_stats"),
    *("_total", "_usage"),
)


@pytest.mark.parametrize("make", ALL)
def test_attributes_of_a_subclass_do_not_meet_ours(server: EmbeddedOllama, make: Make) -> None:
    """Private attributes with usual names, set on the object, break no call."""
    model, method = make(base_url=server.url)

    class Own(type(model)):  # type: ignore[misc] # a class is made for each case
        def __init__(self, **fields: Any) -> None:
            super().__init__(**fields)
            for name in _USUAL_NAMES:
                setattr(self, name, 0)

    with Own(**{name: getattr(model, name) for name in model.model_fields_set}) as own:
        assert getattr(own, method)("Hi")
        assert own._total == 0


@pytest.mark.parametrize("make", ALL)
def test_a_subclass_may_allow_extra_arguments(server: EmbeddedOllama, make: Make) -> None:
    """Frameworks subclass models to hang attributes on them: pydantic's extra="allow" is obeyed."""
    model, method = make(base_url=server.url)

    class Own(type(model)):  # type: ignore[misc] # as above
        model_config = ConfigDict(extra="allow")

    given = {name: getattr(model, name) for name in model.model_fields_set}
    with Own(**given, provider="ollama") as own:
        assert own.provider == "ollama"
        own.calls = 1
        assert own.calls == 1
        assert getattr(own, method)("Hi")
