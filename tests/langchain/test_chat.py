"""ChatOllama: what a call asks for, from the constructor, per call and by binding."""

from collections.abc import Iterator
from typing import Any

import pytest
from chat_ways import LAST, body, model_on, raw_stream, whole
from core_ways import call, pieces
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import ConfigurableField
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import ConfigError, ContextOverflowError, ContextTruncatedWarning

_OPTIONS: dict[str, Any] = {
    "temperature": 0.5,
    "num_ctx": 4096,
    "num_predict": 7,
    "seed": 3,
    "top_k": 5,
    "top_p": 0.5,
    "min_p": 0.1,
    "typical_p": 0.9,
    "repeat_last_n": 8,
    "repeat_penalty": 1.1,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "num_keep": 2,
    "num_batch": 16,
    "num_gpu": 1,
    "main_gpu": 0,
    "use_mmap": False,
    "num_thread": 2,
    "draft_num_predict": 3,
}
_TOP_LEVEL: list[tuple[str, Any, str, Any]] = [
    ("reasoning", False, "think", False),
    ("reasoning", "max", "think", "max"),
    ("think", "low", "think", "low"),
    ("format", "json", "format", "json"),
    ("format", {"type": "object"}, "format", {"type": "object"}),
    ("keep_alive", "5m", "keep_alive", "5m"),
    ("keep_alive", "-1", "keep_alive", -1),
    ("keep_alive", 0, "keep_alive", 0),
    ("logprobs", True, "logprobs", True),
    ("top_logprobs", 2, "logprobs", True),
    ("truncate", True, "truncate", True),
    ("truncate", False, "truncate", False),
    ("shift", False, "shift", False),
    ("max_tokens", 9, "options", {"num_predict": 9}),
    ("model_name", "other", "model", "other"),
    ("stop", ["a"], "options", {"stop": ["a"]}),
]
_WAYS = ["constructor", "per call", "bind", "configurable"]


def _asked(run: Run, way: str, **given: Any) -> dict[str, Any]:
    """Return the body of a request whose arguments are given in one of the ways."""
    if way == "constructor":
        named = {"model": None} if "model_name" in given else {}
        model, network = model_on(whole(), **named, **given)
        call(run, model, "invoke", "x")
        return body(network)
    model, network = model_on(whole())
    if way == "per call":
        call(run, model, "invoke", "x", **given)
    elif way == "bind":
        call(run, model.bind(**given), "invoke", "x")
    else:
        fields_ = {name: ConfigurableField(id=name) for name in given}
        config = {"configurable": given}
        call(run, model.configurable_fields(**fields_), "invoke", "x", config=config)
    return body(network)


@pytest.mark.parametrize("way", _WAYS)
def test_every_option_can_be_given_in_every_way(run: Run, way: str) -> None:
    """All options of the server arrive, from wherever they are given (c4, c25)."""
    assert _asked(run, way, **_OPTIONS)["options"] == _OPTIONS


@pytest.mark.parametrize("way", ["constructor", "per call", "bind"])
@pytest.mark.parametrize(("name", "value", "sent", "as_"), _TOP_LEVEL)
def test_other_arguments_in_every_way(
    run: Run, way: str, name: str, value: Any, sent: str, as_: Any
) -> None:
    """Arguments outside options arrive at their place, under every name they have (c4)."""
    assert _asked(run, way, **{name: value})[sent] == as_


def test_options_and_stops_merge(run: Run) -> None:
    """Options per call go over the model's, and stop texts are all kept (c27)."""
    model, network = model_on(whole(), temperature=0.1, seed=1, stop=["a"])
    how = {"options": {"seed": 2, "min_p": 0.5, "stop": ["b"]}, "stop": ["c", "a"], "top_k": 3}
    call(run, model, "invoke", "x", **how)
    assert body(network)["options"] == {
        "temperature": 0.1,
        "seed": 2,
        "min_p": 0.5,
        "top_k": 3,
        "stop": ["a", "b", "c"],
    }


def test_nothing_is_sent_that_was_not_asked_for(run: Run) -> None:
    """A plain call holds the model, the messages, and that the prompt must not be cut."""
    model, network = model_on(whole())
    call(run, model, "invoke", "x", temperature=None, stop=None)
    assert body(network) == {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "truncate": False,
        "stream": True,
    }


@pytest.mark.parametrize("way", ["constructor", "per call", "bind"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"thinking": True}, "here it is 'reasoning'"),
        ({"top_p": 7}, "top_p"),
        ({"num_ctx": -5}, "num_ctx"),
        ({"reasoning": "ba nana"}, "ba nana"),
        ({"keep_alive": "banana"}, "keep_alive"),
        ({"format": "xml"}, "format"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2, "logprobs": False}, "needs logprobs"),
        ({"num_predict": 1, "max_tokens": 2}, "another name"),
        ({"on_context_overflow": "panic"}, "on_context_overflow"),
    ],
)
def test_wrong_arguments_are_refused_before_the_request(
    run: Run, way: str, given: dict[str, Any], said: str
) -> None:
    """Unknown names and impossible values are errors that say which (c4)."""
    with pytest.raises(ConfigError, match=said):
        _asked(run, way, **given)


@pytest.mark.parametrize("name", ["mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"])
@pytest.mark.parametrize("way", ["constructor", "per call"])
def test_obsolete_options_are_accepted_and_not_sent(run: Run, name: str, way: str) -> None:
    """What the server has given up is told of, and does not reach it (c25)."""
    with pytest.warns(DeprecationWarning, match=name):
        assert "options" not in _asked(run, way, **{name: 1})


def test_unknown_options_inside_options_are_refused(run: Run) -> None:
    """A typo inside options is an error as well."""
    model, _ = model_on(whole())
    with pytest.raises(ConfigError, match="num_ctx"):
        call(run, model, "invoke", "x", options={"num_ctxx": 1})


def test_format_goes_before_response_format(run: Run) -> None:
    """Of two shapes for one answer the second is left out, with a warning, as the peer does."""
    model, network = model_on(whole())
    with pytest.warns(UserWarning, match="response_format is ignored"):
        call(run, model, "invoke", "x", format={"type": "object"}, response_format="json")
    assert body(network)["format"] == {"type": "object"}


@pytest.mark.parametrize(
    "empty",
    [
        {"type": "text"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "x"}},
        {"type": "json_schema", "json_schema": "x"},
    ],
)
def test_a_response_format_without_a_shape_is_left_out(run: Run, empty: dict[str, Any]) -> None:
    """What asks for no shape constrains nothing, and a warning says so."""
    model, network = model_on(whole())
    with pytest.warns(UserWarning, match="is ignored"):
        call(run, model, "invoke", "x", response_format=empty)
    assert "format" not in body(network)


def test_top_logprobs_turn_logprobs_on() -> None:
    """The field says what is sent."""
    assert ChatOllama(model="m", top_logprobs=5).logprobs is True
    assert ChatOllama(model="m").logprobs is None


@pytest.mark.parametrize("name", ["client_kwargs", "sync_client_kwargs", "async_client_kwargs"])
def test_an_address_among_httpx_arguments_is_refused(name: str) -> None:
    """Httpx must not send elsewhere than base_url says."""
    with pytest.raises(ConfigError, match="give base_url=… beside"):
        ChatOllama(model="m", **{name: {"base_url": "http://h"}})


def test_another_model_per_call_is_reported(run: Run, server: EmbeddedOllama) -> None:
    """A model given per call answers, and the answer says so."""
    model = ChatOllama(model="demo", base_url=server.url)
    answer = call(run, model, "invoke", "x", model="demo-rendered")
    assert answer.response_metadata["model_name"] == "demo-rendered"
    call(run, model, "close")


def test_reasoning_is_kept_by_default(run: Run) -> None:
    """What the server thinks unasked is kept as reasoning, and is not in the text (c8)."""
    for version in (None, "v1"):
        model, _ = model_on(whole({"thinking": "hm", "content": "x"}), output_version=version)
        answer = call(run, model, "invoke", "x")
        assert answer.text == "x"
        assert answer.additional_kwargs["reasoning_content"] == "hm"
        assert [block["type"] for block in answer.content_blocks] == ["reasoning", "text"]


def test_unknown_counts_do_not_hide_known_ones(run: Run) -> None:
    """A missing prompt count leaves the other; without both there is no usage (c24)."""
    model, _ = model_on(whole(prompt_eval_count=None))
    assert call(run, model, "invoke", "x").usage_metadata == {
        "input_tokens": 0,
        "output_tokens": 29,
        "total_tokens": 29,
    }
    model, _ = model_on(whole(prompt_eval_count=None, eval_count=None))
    assert call(run, model, "invoke", "x").usage_metadata is None


def test_cached_prompt_tokens_are_reported(run: Run) -> None:
    """How much of the prompt was cached stands in the details, when the server says it (c24)."""
    model, _ = model_on(whole(prompt_eval_cached_count=20))
    usage = call(run, model, "invoke", "x").usage_metadata
    assert usage["input_token_details"] == {"cache_read": 20}


def test_the_usage_callback_of_core_counts(server: EmbeddedOllama) -> None:
    """`get_usage_metadata_callback` adds up whole answers and streams, by model."""
    with (
        get_usage_metadata_callback() as counted,
        ChatOllama(model="demo", base_url=server.url) as model,
    ):
        first = model.invoke("x").usage_metadata
        for _ in model.stream("x"):
            pass
    assert first is not None
    assert counted.usage_metadata["demo"]["total_tokens"] == 2 * first["total_tokens"]


def test_no_part_of_the_server_s_answer_is_lost(run: Run) -> None:
    """Keys that nobody knows today, and a remote model's, are in response_metadata."""
    model, _ = model_on(whole(remote_model="big", remote_host="https://h", novel={"a": 1}))
    told = call(run, model, "invoke", "x").response_metadata
    assert (told["remote_model"], told["remote_host"], told["novel"]) == (
        "big",
        "https://h",
        {"a": 1},
    )


def test_null_content_is_an_empty_text(run: Run) -> None:
    """A compatible server's null becomes "" (c27)."""
    model, _ = model_on(raw_stream([{"model": "m", "message": {"content": None}, **LAST}]))
    chunks = pieces(run, model, "x")
    assert [chunk.content for chunk in chunks] == [""]


class TestContext:
    """A prompt that does not fit is never cut in silence (c7)."""

    _long = " ".join(["word"] * 100)

    @pytest.fixture
    def small(self, run: Run) -> Iterator[tuple[ChatOllama, EmbeddedOllama]]:
        """Return a model of 32 tokens, and its server."""
        tiny = EmbeddedModel("small", ("completion",), context_length=32, tool_call_placement="own")
        with EmbeddedOllama([tiny]) as server:
            model = ChatOllama(model="small", base_url=server.url)
            yield model, server
            call(run, model, "close")

    @pytest.mark.parametrize("ask", ["invoke", "stream"])
    def test_warn(self, run: Run, small: tuple[ChatOllama, EmbeddedOllama], ask: str) -> None:
        """By default the answer comes, with a warning that has both counts."""
        with pytest.warns(ContextTruncatedWarning, match=r"\d+ tokens long.* 32"):
            self._ask(run, small[0], ask)
        assert [one.json.get("truncate") for one in small[1].requests] == [False, None]

    @pytest.mark.parametrize("ask", ["invoke", "stream"])
    def test_error(self, run: Run, small: tuple[ChatOllama, EmbeddedOllama], ask: str) -> None:
        """With "error" nothing is generated, and the error has both counts."""
        with pytest.raises(ContextOverflowError) as caught:
            self._ask(run, small[0], ask, on_context_overflow="error")
        assert caught.value.context_length == 32
        assert caught.value.prompt_tokens is not None
        assert caught.value.prompt_tokens > 100

    @pytest.mark.parametrize("ask", ["invoke", "stream"])
    def test_truncate(self, run: Run, small: tuple[ChatOllama, EmbeddedOllama], ask: str) -> None:
        """With "truncate" the server cuts without a word."""
        self._ask(run, small[0], ask, on_context_overflow="truncate")
        assert "truncate" not in small[1].requests[0].json

    def test_a_last_message_that_alone_is_too_long(
        self, run: Run, server: EmbeddedOllama, recwarn: pytest.WarningsRecorder
    ) -> None:
        """Ollama's native route refuses it, though it may drop messages; older ones it drops."""
        model = ChatOllama(model="demo", base_url=server.url, num_ctx=32)
        for how in ("warn", "truncate"):
            with pytest.raises(ContextOverflowError, match="allow truncation if it is off"):
                self._ask(run, model, "invoke", on_context_overflow=how)
            history = [HumanMessage(self._long), AIMessage("x"), HumanMessage("hi")]
            assert call(run, model, "invoke", history, on_context_overflow=how).text
        assert {type(one.message) for one in recwarn} == {ContextTruncatedWarning}
        call(run, model, "close")

    def _ask(self, run: Run, model: ChatOllama, ask: str, **how: Any) -> None:
        history = [HumanMessage(self._long)]
        if ask == "invoke":
            call(run, model, "invoke", history, **how)
        else:
            pieces(run, model, history, **how)
