"""Errors are ours and langchain-core's at once, the same whichever way a call is made (c6)."""

import inspect
import pickle
import traceback
from typing import Any

import core_family as core
import httpx
import pytest
from chat_ways import line, model_on, raw_stream, whole
from core_ways import call, pieces
from faked import status as _status
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from running import Run

import ollama_transport as ours
from langchain_ollama_ext import _errors
from ollama_transport import errors as tree


def status(code: int, text: str) -> Any:
    """Return what makes a refusal: an httpx response can be read only once."""
    return lambda: _status(code, text)


_ASKS = {
    "invoke": lambda run, model: call(run, model, "invoke", "x"),
    "stream": lambda run, model: pieces(run, model, "x"),
}

# What the network does, our class, langchain-core's class, whether to try again.
_CASES: list[tuple[Any, type[Exception], type[core.ModelError], bool]] = [
    (
        httpx.ConnectError("refused"),
        ours.OllamaConnectionError,
        core.ModelConnectionError,
        True,
    ),
    (httpx.ReadTimeout("slow"), ours.OllamaTimeoutError, core.ModelTimeoutError, True),
    (
        lambda: httpx.Response(200, text="<html>proxy</html>"),
        ours.ProtocolError,
        core.ModelAPIError,
        False,
    ),
    (status(401, "unauthorized"), ours.AuthenticationError, core.ModelAuthenticationError, False),
    (status(403, "no"), ours.AuthenticationError, core.ModelPermissionDeniedError, False),
    ("errors/missing-model", ours.ModelNotFoundError, core.ModelNotFoundError, False),
    ("errors/no-tools", ours.UnsupportedCapabilityError, core.ModelInvalidRequestError, False),
    ("errors/no-thinking", ours.UnsupportedCapabilityError, core.ModelInvalidRequestError, False),
    ("errors/keep-alive", ours.RequestRejectedError, core.ModelInvalidRequestError, False),
    ("errors/option-type", ours.RequestRejectedError, core.ModelInvalidRequestError, False),
    (
        "errors/overflow-refused-native",
        ours.ContextOverflowError,
        core.ContextOverflowError,
        False,
    ),
    (status(429, "slow down"), ours.ServerBusyError, core.ModelRateLimitError, True),
    (
        status(503, "server busy, please try again.  maximum pending requests exceeded"),
        ours.ServerBusyError,
        core.ModelRateLimitError,
        True,
    ),
    (status(500, "runner died"), ours.ServerError, core.ModelAPIError, True),
]


@pytest.mark.parametrize("ask", _ASKS)
@pytest.mark.parametrize(("answer", "own", "family", "again"), _CASES)
def test_failures(
    run: Run,
    ask: str,
    answer: Any,
    own: type[Exception],
    family: type[core.ModelError],
    again: bool,
) -> None:
    """A failure has our class, core's class and the right is_retryable, and pickles."""
    made = answer() if callable(answer) else answer
    model, _ = model_on(made, max_retries=0, on_context_overflow="error")
    with pytest.raises(own) as caught:
        _ASKS[ask](run, model)
    error = caught.value
    assert isinstance(error, family)
    assert error.is_retryable is again
    assert not isinstance(error.__cause__, own)  # it would say the same once more
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))
    assert copied.__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("end", "own"),
    [
        ({"error": "llama-server chat error: map[code:500]"}, ours.StreamFailedError),
        (None, ours.StreamTruncatedError),
    ],
)
def test_failures_in_the_middle_of_a_stream(run: Run, end: Any, own: type[Exception]) -> None:
    """A stream that fails after its first line may be asked for again, and tells what came."""
    lines = [line({"content": "Hel"}), *([end] if end else [])]
    model, _ = model_on(raw_stream(lines))
    with pytest.raises(own) as caught:
        pieces(run, model, "x")
    assert isinstance(caught.value, core.ModelAPIError)
    assert caught.value.is_retryable
    assert [one.text for one in caught.value.received] == ["Hel"]


def test_wrong_arguments_are_not_tried_again(run: Run) -> None:
    """A wrong argument is an invalid request to langchain-core, and a ValueError."""
    model, network = model_on(whole())
    with pytest.raises(ValueError, match="temperature") as caught:
        call(run, model, "invoke", "x", temperatur=1)
    assert isinstance(caught.value, core.ModelInvalidRequestError)
    assert network.requests == []


def test_tracers_see_the_server_s_answer(run: Run) -> None:
    """Status, headers and body of a refusal reach on_llm_error."""
    seen: list[LLMResult] = []

    class Tracer(BaseCallbackHandler):
        def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
            seen.append(kwargs["response"])

    model, _ = model_on("errors/missing-model")
    with pytest.raises(ours.ModelNotFoundError):
        call(run, model, "invoke", "x", config={"callbacks": [Tracer()]})
    told = seen[0].generations[0][0].message.response_metadata
    assert told["status_code"] == 404
    assert "not found" in told["body"]["error"]


def test_every_error_has_a_twin() -> None:
    """Each class of the transport that can come out has one of langchain-core's family."""
    roots = {
        tree.OllamaError,
        tree.ResponseError,
        tree.TransportError,
        tree.StatusError,
        tree.StreamError,
    }
    leaves = {
        found
        for _, found in inspect.getmembers(tree, inspect.isclass)
        if issubclass(found, tree.OllamaError) and found not in roots
    }
    assert leaves == set(_errors.TWINS)
    assert all(issubclass(twin, core.ModelError) for twin in _errors.TWINS.values())


def test_a_model_that_cannot_think_names_the_setting(run: Run) -> None:
    """The refusal of a model without thinking says which argument to change (c8)."""
    model, _ = model_on("errors/no-thinking", reasoning=True)
    with pytest.raises(ours.UnsupportedCapabilityError, match="reasoning"):
        call(run, model, "invoke", "x")


@pytest.mark.parametrize("ask", _ASKS)
def test_a_missing_server_is_reported_once(run: Run, ask: str) -> None:
    """The traceback is one, it tells the reason of the network, and ends with what to do."""
    model, _ = model_on(httpx.ConnectError("refused by nobody"), max_retries=0)
    with pytest.raises(ours.OllamaConnectionError) as caught:
        _ASKS[ask](run, model)
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    assert sum("no server answers" in line for line in lines) == 1
    assert lines[0] == "httpx.ConnectError: refused by nobody"
    assert lines[-1].endswith("Else set base_url or OLLAMA_HOST.")
    assert sum(line.startswith("Traceback") for line in lines) == 1


def test_an_empty_answer_is_a_value_error(run: Run) -> None:
    """`except ValueError`, as programs for langchain-ollama have it, catches an empty answer."""
    model, _ = model_on(raw_stream([line({}, done=True, done_reason="load")]), max_retries=0)
    with pytest.raises(ValueError, match="empty"):
        call(run, model, "invoke", "x")
