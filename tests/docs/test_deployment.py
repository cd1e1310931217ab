"""The FastAPI application of the deployment guide serves a request, streamed, as it stands."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pages import found_by_environment

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply

PAGE = (Path(__file__).parents[2] / "docs/guides/deployment.md").read_text()
BLOCK = re.compile(r"^```python[^\n]*fastapi\"\n(.*?)^```", re.MULTILINE | re.DOTALL)


async def asked(app: Any, question: str) -> httpx.Response:
    """Return what the application answers, without a socket of its own."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.get("/ask", params={"question": question})


def test_the_fastapi_application_of_the_guide_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends the question to the model, and its answer to the browser."""
    pytest.importorskip("fastapi", reason="comes with the extra test alone")
    [code] = BLOCK.findall(PAGE)
    names: dict[str, Any] = {"__name__": "__guide__"}
    with (
        EmbeddedOllama([EmbeddedModel("llama3.2")]) as server,
        found_by_environment(server, monkeypatch),
    ):
        exec(code, names)
        server.script([Reply.chat("It rains in Rome.")])
        response = asyncio.run(asked(names["app"], "Will it rain?"))
        assert server.requests[-1].json["messages"][-1]["content"] == "Will it rain?"
    assert (response.status_code, response.text) == (200, "It rains in Rome.")
