"""Whatever llama-index-llms-ollama and llama-index-embeddings-ollama have, ours have too."""

import inspect
from typing import Any

import pytest
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from surfaces import missing_parameters, surface_of

from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_transport import ConfigError

NAMES = {"Ollama": Ollama, "OllamaEmbedding": OllamaEmbedding}
PEERS: dict[str, Any] = surface_of("llamaindex")["classes"]
# Under that name a property of ours, a field there: LlamaIndex's users read and set it alike.
PROPERTIES = {"Ollama": {"request_timeout"}, "OllamaEmbedding": set[str]()}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_field_is_there(name: str) -> None:
    """Each field has its name here, as a field or a property that can be set."""
    ours = NAMES[name]
    fields = set(PEERS[name]["fields"])
    assert len(fields) > 5
    assert fields - PROPERTIES[name] - set(ours.model_fields) == set()
    for field in PROPERTIES[name]:
        found = inspect.getattr_static(ours, field)
        assert found.fset is not None


def test_every_argument_is_there(name: str) -> None:
    """Each constructor argument has its name and its place here."""
    ours = [one for one in inspect.signature(NAMES[name].__init__).parameters if one != "self"]
    peers = [one["name"] for one in PEERS[name]["parameters"] if one["kind"] != "VAR_KEYWORD"]
    known = set(ours) | set(NAMES[name].model_fields)
    assert set(peers) - known == set()
    # Those without a default are given by place.
    assert ours[:1] == peers[:1]


def test_every_public_method_is_there(name: str) -> None:
    """Each public method and property has its name here, and takes the same arguments."""
    ours: Any = NAMES[name]
    for method, theirs in PEERS[name]["members"].items():
        assert hasattr(ours, method) or method in ours.model_fields, method
        if theirs["kind"] == "function":
            found = getattr(ours, method)
            assert missing_parameters(found, theirs["parameters"]) == set(), method


@pytest.mark.parametrize("method", ["client", "async_client", "metadata"])
def test_properties_are_properties(method: str) -> None:
    """What was read without calling it still is."""
    assert PEERS["Ollama"]["members"][method]["kind"] == "property"
    assert isinstance(inspect.getattr_static(Ollama, method), property)


def test_the_class_name_is_the_peers() -> None:
    """What was stored under it loads, and tracers know it."""
    assert Ollama.class_name() == PEERS["Ollama"]["class_name"]
    assert OllamaEmbedding.class_name() == PEERS["OllamaEmbedding"]["class_name"]


def test_it_is_the_kind_of_class_llama_index_asks_for() -> None:
    """Isinstance checks of core see a function-calling LLM."""
    assert issubclass(Ollama, FunctionCallingLLM)
    assert BaseLLM.__name__ in [cls.__name__ for cls in Ollama.__mro__]
    assert not inspect.isabstract(Ollama)


ARGUMENTS: list[dict[str, Any]] = [
    {"model": "m", "base_url": "http://localhost:11434", "temperature": 0.1},
    {"model": "m", "context_window": 8000, "request_timeout": 120.0},
    {"model": "m", "json_mode": True, "additional_kwargs": {"num_predict": 5}},
    {"model": "m", "thinking": True, "keep_alive": "10m", "headers": {"X": "y"}},
    {"model": "m", "keep_alive": 0.5, "is_function_calling_model": False},
    {"model": "m", "client": None, "async_client": None, "thinking": "high"},
    {"model": "m", "prompt_key": "prompt", "context_window": -1, "headers": None},
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_constructors_alike(arguments: dict[str, Any]) -> None:
    """What made a model there makes one here, with the same values in the same fields."""
    ours = Ollama(**arguments)
    for field in arguments.keys() - {"client", "async_client"}:
        assert getattr(ours, field) == arguments[field]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_constructors_alike_at_the_peer(arguments: dict[str, Any]) -> None:
    """The peer, where it is installed, keeps the same values in the same fields."""
    peer = pytest.importorskip("llama_index.llms.ollama").Ollama(**arguments)
    for field in arguments.keys() - {"client", "async_client"}:
        assert getattr(peer, field) == arguments[field]


@pytest.mark.parametrize(
    ("argument", "kind"), [("client", "Client"), ("async_client", "AsyncClient")]
)
def test_clients_of_ollama_python_are_refused_by_name(argument: str, kind: str) -> None:
    """A client whose answers nobody here could read is an error that says what to give."""
    theirs = getattr(pytest.importorskip("ollama"), kind)
    client = theirs.__new__(theirs)  # made without opening anything
    with pytest.raises(ConfigError, match=f"ollama_transport.{kind}.*base_url"):
        Ollama("m", **{argument: client})


def test_thinking_takes_every_level() -> None:
    """D10: and "max", which the server knows too, and those of a model's own."""
    for level in ("low", "medium", "high", "max", "xhigh"):
        assert Ollama("m", thinking=level).thinking == level
