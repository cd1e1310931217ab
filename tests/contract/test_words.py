"""A server's words come with what to do: through both adapters, as a status and inside a 200."""

import json
from typing import Any

import httpx
import pytest
from both_ways import Facts
from llama_index.core.llms import ChatMessage
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import OllamaError

NATIVE, OPENAI = "http://h", "http://h/v1"
WORDS = [
    (NATIVE, 500, "error parsing tool call: raw", "ask again"),
    (NATIVE, 500, "model requires more system memory (9 GiB)", "smaller"),
    (NATIVE, 400, 'think value "max" is not supported for this model', "reasoning level"),
    (NATIVE, 500, "json: unsupported value: NaN", "another quantisation"),
    (NATIVE, 400, "unexpected EOF", "JSON was cut"),
    (NATIVE, 500, "an error was encountered while running the model: unexpected EOF", "memory"),
    (NATIVE, 500, 'POST predict: Post "http://127.0.0.1:63330/completion": EOF', "memory"),
    (NATIVE, 500, "llama runner process no longer running: -1", "memory"),
    (NATIVE, 500, "error loading model: unknown model architecture: 'x'", "update the server"),
    (NATIVE, 500, 'pull model manifest: Get "https://r/v2/": no such host', "HTTPS_PROXY on the"),
    (NATIVE, 500, "failed to process inputs: image: unknown format", "a PNG or a JPEG"),
    (OPENAI, 400, "invalid image input", "a PNG or a JPEG"),
    (OPENAI, 500, "System message must be at the beginning.", "one system"),
    (OPENAI, 400, "Conversation roles must alternate user/assistant", "merge consecutive"),
    (OPENAI, 500, "tools param requires --jinja flag", "with --jinja"),
    (OPENAI, 404, "Unexpected endpoint or method. (POST /v1/chat)", "base_url"),
]


@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
@pytest.mark.parametrize("inside", [False, True], ids=["status", "in a 200"])
@pytest.mark.parametrize(("root", "status", "words", "hint"), WORDS)
def test_a_servers_words_come_with_what_to_do(
    run: Run, kind: Any, inside: bool, root: str, status: int, words: str, hint: str
) -> None:
    """Whole and streamed; the words themselves are there too."""
    body = {"error": words} if root == NATIVE else {"error": {"message": words}}
    for streams in (False, True):
        network = Facts(httpx.Response(200 if inside else status, json=body))
        settings: dict[str, Any] = {"base_url": root, "max_retries": 0}
        model = kind(model="m", client_kwargs={"transport": network}, **settings)
        with pytest.raises(OllamaError) as caught:
            _ask(run, model, streams)
        run(model.aclose() if run.is_async else model.close())
        assert words in str(caught.value).replace(json.dumps(words)[1:-1], words)
        assert hint in str(caught.value)


def _ask(run: Run, model: Any, streams: bool) -> None:
    if isinstance(model, ChatOllama):
        if not streams:
            run(model.ainvoke("hi")) if run.is_async else model.invoke("hi")
        elif run.is_async:
            run(_drained(model.astream("hi")))
        else:
            list(model.stream("hi"))
        return
    messages = [ChatMessage("hi")]
    if not streams:
        run(model.achat(messages)) if run.is_async else model.chat(messages)
    elif run.is_async:
        run(_awaited(model, messages))
    else:
        list(model.stream_chat(messages))


async def _drained(stream: Any) -> None:
    async for _ in stream:
        pass


async def _awaited(model: Any, messages: list[ChatMessage]) -> None:
    await _drained(await model.astream_chat(messages))
