"""Templates that take messages in one order alone: the history is sent in it after a refusal."""

from base64 import b64encode
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from running import Run
from strict_server import Strict, ask, made, told

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import RequestRejectedError

both = pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
forms = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
PIXEL = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc"
    b"\xf8\xff\xff?\0\5\xfe\2\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82"
)

LATE = "System message must be at the beginning."
ROWS = "After the optional system message, conversation roles must alternate user/assistant/…"
NO_SYSTEM = "System role not supported"


def history(kind: Any, *said: tuple[str, str]) -> list[Any]:
    if kind is Ollama:
        return [ChatMessage(role=role, content=text) for role, text in said]
    classes = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [classes[role](text) for role, text in said]


def roles(body: Any) -> list[str]:
    return [message["role"] for message in body["messages"]]


def told_of(body: Any) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in body["messages"]]


def has_late_system(body: Any) -> bool:
    return "system" in roles(body)[1:]


def does_not_alternate(body: Any) -> bool:
    """Return what Mistral's and Gemma's templates refuse."""
    said = roles(body)[1:] if roles(body)[0] == "system" else roles(body)
    return any((role == "user") != (at % 2 == 0) for at, role in enumerate(said))


SCATTERED = (("system", "Be brief."), ("user", "Hi"), ("system", "In Latin."), ("user", "Who?"))


@both
@forms
@pytest.mark.parametrize("status", [400, 500])
def test_system_messages_go_to_the_start_where_a_template_requires_it(
    run: Run, closing: list[Any], kind: Any, streams: bool, status: int
) -> None:
    """The refusal of Qwen's templates is met once; what the user said stays apart."""
    network = Strict(has_late_system, told(f"Jinja Exception: {LATE}", status))
    model = made(closing, kind, network, max_retries=0)
    for _ in range(2):
        asked = history(kind, *SCATTERED)
        assert ask(run, model, asked, streams).content == "It rains."
    mended = [("system", "Be brief.\n\nIn Latin."), ("user", "Hi"), ("user", "Who?")]
    assert list(map(told_of, network.bodies)) == [list(SCATTERED), mended, mended]


@both
@forms
def test_messages_of_one_role_in_a_row_go_as_one_where_a_template_requires_it(
    run: Run, closing: list[Any], kind: Any, streams: bool
) -> None:
    """Those of the user and of the model, beside one system message."""
    said = (
        *(("system", "Be brief."), ("user", "Here is the text."), ("user", "What is it?")),
        *(("assistant", "A poem."), ("assistant", "By Ovid."), ("user", "Which?")),
    )
    network = Strict(does_not_alternate, told(ROWS))
    model = made(closing, kind, network)
    for _ in range(2):
        assert ask(run, model, history(kind, *said), streams).content == "It rains."
    mended = [
        ("system", "Be brief."),
        ("user", "Here is the text.\n\nWhat is it?"),
        ("assistant", "A poem.\n\nBy Ovid."),
        ("user", "Which?"),
    ]
    assert list(map(told_of, network.bodies)) == [list(said), mended, mended]


@both
@forms
@pytest.mark.parametrize(
    "words", [NO_SYSTEM, "chat content has invalid message role: system", ROWS]
)
def test_system_text_goes_to_the_user_where_a_template_has_no_such_role(
    run: Run, closing: list[Any], kind: Any, streams: bool, words: str
) -> None:
    """Some of them refuse it in the words for the order."""
    network = Strict(lambda body: "system" in roles(body), told(words))
    model = made(closing, kind, network)
    asked = history(kind, ("system", "Be brief."), ("user", "Hi"))
    assert ask(run, model, asked, streams).content == "It rains."
    assert told_of(network.bodies[-1]) == [("user", "Be brief.\n\nHi")]
    ask(run, model, asked, streams)
    assert told_of(network.bodies[-1]) == [("user", "Be brief.\n\nHi")]
    assert sum(has_system for has_system in map(network.refuses, network.bodies)) <= 2


@both
def test_images_are_kept_when_messages_go_as_one(run: Run, closing: list[Any], kind: Any) -> None:
    """Text and image of two messages become the parts of one."""
    network = Strict(does_not_alternate, told(ROWS))
    asked: list[Any] = history(kind, ("user", "Look."))
    if kind is Ollama:
        blocks = [TextBlock(text="What is it?"), ImageBlock(image=PIXEL)]
        asked.append(ChatMessage(role="user", blocks=blocks))
    else:
        image = {"type": "image", "base64": b64encode(PIXEL).decode()}
        text = {"type": "text", "text": "What is it?"}
        asked.append(HumanMessage([text, {**image, "mime_type": "image/png"}]))
    ask(run, made(closing, kind, network), asked)
    (message,) = network.bodies[-1]["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "text", "image_url"]


@both
@pytest.mark.parametrize(
    "words", [LATE, ROWS, NO_SYSTEM, "Unexpected role 'user' after role 'user'"]
)
def test_a_server_that_refuses_the_mended_history_too_ends_in_its_error(
    run: Run, closing: list[Any], kind: Any, words: str
) -> None:
    """Nothing is sent for ever, and the given messages are not changed."""
    network = Strict(lambda _: True, told(words))
    model = made(closing, kind, network)
    asked = history(kind, *SCATTERED)
    with pytest.raises(RequestRejectedError, match="template"):
        ask(run, model, asked)
    assert 2 <= len(network.bodies) <= 3
    assert asked == history(kind, *SCATTERED)


@both
def test_a_history_in_order_is_not_sent_again(run: Run, closing: list[Any], kind: Any) -> None:
    """There is nothing to mend."""
    network = Strict(lambda _: True, told(ROWS))
    with pytest.raises(RequestRejectedError, match="alternate"):
        ask(run, made(closing, kind, network), history(kind, ("user", "Hi")))
    assert len(network.bodies) == 1
