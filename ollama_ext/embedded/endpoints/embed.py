"""The endpoints ``/api/embed`` and ``/api/embeddings`` (wire reference 5.1, 5.2)."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded.answers.backend import Backend, Fields
from ollama_ext.embedded.answers.prompts import tokens_of
from ollama_ext.embedded.demo.embed import embed_text, shorten
from ollama_ext.embedded.endpoints.chat import backend_of
from ollama_ext.embedded.endpoints.requests import EMBED, EMBEDDINGS
from ollama_ext.embedded.llama.process import Runner
from ollama_ext.embedded.models.store import Installed
from ollama_ext.embedded.protocol.encoding import float32
from ollama_ext.embedded.protocol.failures import NO_EMBEDDINGS, TOO_LONG, WireError
from ollama_ext.embedded.protocol.options import merge_options, whole
from ollama_ext.embedded.protocol.responses import json_response

# Small, so that a client that has disconnected does not keep the model busy for long.
_BATCH = 32
_NOT_FOUND = 'model "{}" not found, try pulling it first'


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors and their cost."""

    asked: str  # the model's name as written in the request
    vectors: list[list[float]]  # one unit vector for each text, in order
    tokens: int  # tokens of all texts together
    load_ns: int  # nanoseconds the load took
    total_ns: int  # nanoseconds in total


async def embed(request: Request) -> Response:
    """Answer ``POST /api/embed``."""
    fields = EMBED.read(await request.body())
    found = await embed_texts(backend_of(request), fields, input_texts(fields["input"]))
    answer: Fields = {"model": found.asked, "embeddings": found.vectors}
    # No text, no metrics: the request was a load (wire reference 5.1).
    if found.vectors:
        answer |= {
            "total_duration": found.total_ns,
            "load_duration": found.load_ns,
            "prompt_eval_count": found.tokens,
        }
    return json_response(answer)


async def embeddings(request: Request) -> Response:
    """Answer ``POST /api/embeddings``, the legacy form: one text, every engine error a 500."""
    fields = EMBEDDINGS.read(await request.body())
    if not fields["model"].strip():
        raise WireError(400, "model is required")
    texts = [fields["prompt"]] if fields["prompt"] else []
    # The legacy endpoint knows neither option.
    legacy = {**fields, "truncate": False, "dimensions": 0}
    try:
        found = await embed_texts(backend_of(request), legacy, texts)
    except WireError as error:
        raise (WireError(500, error.text) if error.text == TOO_LONG else error) from error
    return json_response({"embedding": found.vectors[0] if found.vectors else []})


def input_texts(value: object) -> list[str]:
    """Return the texts of ``input``; "" and null are none at all."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise WireError(400, "invalid input type")


async def embed_texts(backend: Backend, fields: Fields, texts: Sequence[str]) -> Embedded:
    """Load the model and embed texts."""
    # Of the three "not found" messages, this one is for a missing name.
    if not fields["model"].strip():
        raise WireError(404, "model '' not found")
    reference, installed = backend.store.resolve(fields["model"], _NOT_FOUND)
    limit = _limit(fields, installed)
    began = time.perf_counter_ns()
    async with backend.loader.use(installed, limit, fields["keep_alive"]) as held:
        # Found out by the engine, after the load: there is no capability check (5.1).
        if "embedding" not in installed.model.capabilities:
            raise WireError(501, NO_EMBEDDINGS)
        if held.runner is not None:
            truncate = fields["truncate"] is not False
            found, tokens = await _embed_weights(held.runner, texts, truncate=truncate)
        else:
            found, tokens = await _embed_rules(texts, installed, limit, fields["truncate"])
        vectors = []
        for vector in found:
            vectors.append(_sized(vector, fields["dimensions"]))
            # A big batch must not delay other requests, and must end when its client disconnects:
            # even a pause of 0 lets the loop notice.
            await asyncio.sleep(backend.token_delay_s)
        took = max(time.perf_counter_ns() - began, 1)
        return Embedded(reference.asked, vectors, tokens, held.load_ns, took)


async def _embed_weights(
    runner: Runner, texts: Sequence[str], *, truncate: bool
) -> tuple[list[list[float]], int]:
    """Return the unit vectors of texts, in order, and the number of their tokens."""
    vectors: list[list[float]] = []
    count = 0
    for start in range(0, len(texts), _BATCH):
        inputs: list[Any] = [
            await _fitting_tokens(runner, text, truncate=truncate)
            for text in texts[start : start + _BATCH]
        ]
        answer = await runner.ask("/v1/embeddings", {"input": inputs})
        found = sorted(answer["data"], key=lambda item: item["index"])
        vectors += [item["embedding"] for item in found]
        count += answer["usage"]["prompt_tokens"]
    return vectors, count


async def _fitting_tokens(runner: Runner, text: str, *, truncate: bool) -> str | list[int]:
    limit = runner.settings.num_ctx
    # A token is at least one byte, and few models add more than two to a text.
    if len(text.encode("utf-8", "replace")) + 2 <= limit:
        return text
    tokens = await runner.tokenize(text)
    if len(tokens) <= limit:
        return tokens
    if not truncate:
        raise WireError(400, TOO_LONG)
    # The last one closes a text in models that have such a token, and is a token in the others.
    return [*tokens[: limit - 1], tokens[-1]]


async def _embed_rules(
    texts: Sequence[str], installed: Installed, limit: int, truncate: object
) -> tuple[list[list[float]], int]:
    cut = [_fitting(text, limit, truncate) for text in texts]
    vectors = []
    for text in cut:
        vectors.append(embed_text(text, installed.model.dimensions))
        await asyncio.sleep(0)
    return vectors, sum(len(tokens_of(text)) for text in cut)


def _limit(fields: Fields, installed: Installed) -> int:
    options = merge_options(installed.model.parameters, fields["options"])
    trained = installed.model.context_length
    return min(max(whole(options, "num_ctx", trained), 4), trained)


def _fitting(text: str, limit: int, truncate: object) -> str:
    tokens = tokens_of(text)
    if len(tokens) <= limit:
        return text
    if truncate is False:
        raise WireError(400, TOO_LONG)
    return "".join(tokens[:limit])


def _sized(vector: list[float], dimensions: int) -> list[float]:
    # Any other number is ignored, as Ollama does.
    if 0 < dimensions < len(vector):
        vector = shorten(vector, dimensions)
    return [float32(value) for value in vector]
