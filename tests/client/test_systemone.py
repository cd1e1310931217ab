"""System One: questions about a state, as programs for ollama-python ask them."""

import json
from typing import Any

import httpx
import pytest
from faked import Network, status
from running import Run

import ollama_transport as ollama
from ollama_transport import ConfigError, ModelNotFoundError, RequestRejectedError, ServerBusyError

# As ollama-python 0.6.3 sends and reads them (wire reference 5.10).
QUESTIONS: dict[str, Any] = {
    "team": {
        "type": "choice",
        "instructions": {"task": "Route the ticket."},
        "criteria": {"technical": None, "billing": "Payments"},
    },
    "refund": ollama.SystemOneNoulQuestion(instructions=["Is a refund wanted?"]),
    "urgency": {"type": "score", "instructions": "How urgent?", "criteria": ["Routine", "Urgent"]},
}
ANSWER = {
    "model": "nimble",
    "answers": {
        "team": {
            "type": "choice",
            "choice": "billing",
            "probabilities": {"technical": 0.2, "billing": 0.8},
            "confidence": 0.3,
        },
        "refund": {"type": "noul", "noul": 0.9},
        "urgency": {
            "type": "score",
            "score": 0.25,
            "legend": {"0": "Routine", "1": "Urgent"},
            "probabilities": {"0": 0.75, "1": 0.25},
            "confidence": 0.2,
        },
    },
    "usage": {"input_tokens": 123, "output_tokens": 4},
}
STATE = {"ticket": ["Charged twice", None], "paid": True}


def test_questions_are_sent_and_answers_are_typed(run: Run) -> None:
    """Dicts and objects may be mixed; answers are read by attribute and by key."""
    network = Network(httpx.Response(200, json=ANSWER))
    client = run.client(transport=network)
    answer = run(client.systemone("nimble", STATE, QUESTIONS, keep_alive=0))
    assert json.loads(network.requests[0].content) == {
        "model": "nimble",
        "state": STATE,
        "questions": {
            **QUESTIONS,
            "refund": {"type": "noul", "instructions": ["Is a refund wanted?"]},
        },
        "keep_alive": 0,
    }
    assert network.paths == ["/v1/systemone"]
    assert answer.model_dump() == ANSWER
    assert isinstance(answer.answers["team"], ollama.SystemOneChoiceAnswer)
    assert isinstance(answer.answers["refund"], ollama.SystemOneNoulAnswer)
    assert isinstance(answer.answers["urgency"], ollama.SystemOneScoreAnswer)
    assert answer["answers"]["urgency"]["score"] == 0.25


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (400, "state must not be empty", RequestRejectedError),
        (404, "model 'nimble' not found", ModelNotFoundError),
        (413, "request body must not exceed 64 KiB", RequestRejectedError),
        (503, "server busy", ServerBusyError),
    ],
)
def test_refusals_are_errors_of_ours(run: Run, code: int, text: str, expected: type) -> None:
    """Each status has its class, which ollama-python's `ResponseError` catches."""
    client = run.client(transport=Network(status(code, text)), max_retries=0)
    error = run.thrown(client.systemone, "nimble", "A ticket.", QUESTIONS)
    assert isinstance(error, expected)
    assert isinstance(error, ollama.ResponseError)
    assert (error.status_code, error.error) == (code, text)


def test_a_server_without_the_endpoint_is_named_as_the_cause(run: Run) -> None:
    """No base URL is to blame for an Ollama that is too old."""
    answer = httpx.Response(404, text="404 page not found")
    error = run.thrown(run.client(transport=Network(answer)).systemone, "m", "s", QUESTIONS)
    assert isinstance(error, RequestRejectedError)
    assert "has no System One endpoint" in str(error)
    assert "base_url" not in str(error)


@pytest.mark.parametrize(
    "questions",
    [{}, [], None, {"q": {"type": "essay", "instructions": "?"}}, {"q": {"type": "noul"}}],
)
def test_questions_of_another_shape_are_refused_before_anything_is_sent(
    run: Run, questions: Any
) -> None:
    """The error names the question."""
    network = Network()
    error = run.thrown(run.client(transport=network).systemone, "m", "s", questions)
    assert isinstance(error, ConfigError)
    assert "question" in str(error)
    assert network.requests == []
