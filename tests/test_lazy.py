"""Names that packages import when they are asked for."""

import sys
from types import ModuleType

import pytest

import ollama_transport
from ollama_ext import embedded
from ollama_transport import client, net
from ollama_transport.lazy import lazy_name


def test_a_name_is_imported() -> None:
    """The name of a module is returned."""
    assert lazy_name("ollama_transport.wire", "Usage") is ollama_transport.Usage


@pytest.mark.parametrize(
    ("package", "name", "home"),
    [
        (ollama_transport, "Client", "ollama_transport.client"),
        (client, "AsyncClient", "ollama_transport.client.clients"),
        (net, "ssl_context", "ollama_transport.net.pool"),
        (embedded, "EmbeddedOllama", "ollama_ext.embedded.server.server"),
    ],
)
def test_a_failing_import_names_the_reason(
    monkeypatch: pytest.MonkeyPatch, package: ModuleType, name: str, home: str
) -> None:
    """An AttributeError below is the cause of an ImportError, and never "no such name"."""
    monkeypatch.setitem(sys.modules, home, ModuleType(home))
    with pytest.raises(ImportError, match=f"importing {name} from {home} failed") as caught:
        getattr(package, name)
    assert isinstance(caught.value.__cause__, AttributeError)
    assert not hasattr(package, "no_such_name")
