"""On an OpenAI-compatible server a prompt is a message of a chat, whose template it applies."""

import asyncio
from collections.abc import Iterator

import pytest
from raw_server import RawServer
from right_answers import TEXT, otherwise

from llamaindex_ollama_ext import Ollama
from ollama_transport import RequestRejectedError


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(otherwise) as found:
        yield found


def completed(server: RawServer, form: str) -> str:
    with Ollama(model="m", base_url=f"{server.url}/v1", system_prompt="Be brief.") as llm:
        if form == "whole":
            return str(llm.complete("Hi").text)
        return str([*llm.stream_complete("Hi")][-1].text)


async def acompleted(server: RawServer, form: str) -> str:
    async with Ollama(model="m", base_url=f"{server.url}/v1", system_prompt="Be brief.") as llm:
        if form == "whole":
            return str((await llm.acomplete("Hi")).text)
        return str([part async for part in await llm.astream_complete("Hi")][-1].text)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("form", ["whole", "streamed"])
def test_a_completion_goes_by_chat(server: RawServer, form: str, is_async: bool) -> None:
    """A bare completion of a model that chats answers nothing on many servers."""
    if is_async:
        assert asyncio.run(acompleted(server, form)) == TEXT
    else:
        assert completed(server, form) == TEXT
    asked = server.requests[-1]
    assert asked.path == "/v1/chat/completions"
    assert asked.json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_a_raw_prompt_goes_the_old_way(server: RawServer) -> None:
    """Models that only complete are asked by raw=True."""
    llm = Ollama(model="m", base_url=f"{server.url}/v1", max_retries=0)
    with llm, pytest.raises(RequestRejectedError, match="/v1/completions"):
        llm.complete("Once", raw=True)
    assert server.requests[-1].path == "/v1/completions"
