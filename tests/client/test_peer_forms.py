"""Forms that programs for ollama-python use beside calls: signatures, positions, dumps."""

import inspect
import json
from pathlib import Path

import pytest
from faked import Network
from running import Run

from ollama_transport import AsyncClient, Client, Image

PNG = b"\x89PNG\r\n\x1a\n"
PNG_TEXT = "iVBORw0KGgo="


@pytest.mark.parametrize("name", ["chat", "generate"])
def test_signatures_name_each_keyword(name: str) -> None:
    """`help`, editors and `inspect` show what may be given, the same for both clients."""
    both = [inspect.signature(getattr(kind, name)).parameters for kind in (Client, AsyncClient)]
    assert list(both[0]) == list(both[1])
    assert {"think", "format", "keep_alive", "options", "stream", "top_logprobs"} <= set(both[0])
    assert both[0]["think"].annotation == both[1]["think"].annotation
    assert all(one.kind is not one.VAR_KEYWORD for one in both[0].values())


def test_create_takes_quantize_and_from_by_position(run: Run) -> None:
    """As in ollama-python; a keyword does the same."""
    network = Network("create/from-existing", "create/from-existing")
    client = run.client(transport=network)
    run(client.create("mine", None, "llama3.2"))
    run(client.create("mine", from_="llama3.2"))
    first, second = (json.loads(request.content) for request in network.requests)
    assert first == second
    assert first["from"] == "llama3.2"


def test_an_image_is_dumped_as_base64(tmp_path: Path) -> None:
    """Bytes, base64 and files give what is sent."""
    file = tmp_path / "dot.png"
    file.write_bytes(PNG)
    given = (Image(value=PNG), Image(value=PNG_TEXT), Image(value=file), Image(path=str(file)))
    assert {image.model_dump() for image in given} == {PNG_TEXT}


def test_a_shown_model_is_dumped_with_both_names_of_its_facts(run: Run) -> None:
    """`modelinfo` is ollama-python's name, `model_info` the server's."""
    dumped = run(run.client(transport=Network("show/tiny-chat")).show("tiny-chat")).model_dump()
    assert dumped["modelinfo"] == dumped["model_info"] != {}
