"""Roots of an API that are no /v1, pasted endpoints, and what a wrong guess says."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fault_ways import RIGHT, WAYS, Way, results_of
from raw_server import Asked, RawServer, Step
from right_answers import otherwise, sized

from ollama_transport.errors import RequestRejectedError

ROOTS = {
    "/v3": {"api": "openai"},
    "/v1beta/openai": {"api": "openai"},
    "/api/openai/v1": {},
    "/v1/": {},
    "/v1/chat": {},
    "/v1/chat/completions": {},
    "/v1/embeddings": {},
    "/v1/responses": {},
    "/v1/messages": {},
    "/v1/audio/speech": {},
    "/v3/chat/completions": {},
    "/v3/embeddings": {},
    "/api/paas/v4/chat/completions": {},
}
NATIVE = {"/api": {}, "/api/chat": {}, "/api/generate": {}, "/ollama/api/chat": {}}
OPENAI = [way for way in WAYS if way.is_openai]
OTHERS = [way for way in WAYS if not way.is_openai]


def below_any_root(asked: Asked) -> list[Step]:
    """Answer rightly whatever stands before the endpoint."""
    for end in ("/chat/completions", "/embeddings", "/models"):
        if asked.path.endswith(end) and "/api/embed" not in asked.path:
            return otherwise(replace(asked, target=f"/v1{end}"))
    at = asked.path.find("/api/")
    return otherwise(replace(asked, target=asked.path[at:]) if at >= 0 else asked)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(below_any_root) as found:
        yield found


def asked_paths(server: RawServer) -> set[str]:
    return {asked.path for asked in server.requests if not asked.path.endswith("/show")}


@pytest.mark.parametrize("way", OPENAI, ids=lambda way: way.id)
@pytest.mark.parametrize("root", ROOTS)
def test_an_api_is_asked_below_its_root(way: Way, server: RawServer, root: str) -> None:
    """What people copy from a provider's page leads to the right address."""
    model = replace(way, is_openai=False).model(
        server.url + root, count_tokens=False, **ROOTS[root]
    )
    assert results_of(way, model, 1) == [(RIGHT[way.form], None)]
    below = {
        "/v3/chat/completions": "/v3",
        "/v3/embeddings": "/v3",
        "/api/openai/v1": "/api/openai/v1",
        "/api/paas/v4/chat/completions": "/api/paas/v4",
    }
    expected = below.get(root, root if "api" in ROOTS[root] else "/v1")
    end = "/embeddings" if way.form == "embedded" else "/chat/completions"
    assert asked_paths(server) == {expected + end}


@pytest.mark.parametrize("way", OTHERS, ids=lambda way: way.id)
@pytest.mark.parametrize("root", NATIVE)
def test_a_pasted_endpoint_of_ollama_is_cut_back(way: Way, server: RawServer, root: str) -> None:
    """The address of an endpoint is no base URL, but says where the server is."""
    assert results_of(way, way.model(server.url + root), 1) == [(RIGHT[way.form], None)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_a_wrong_guess_names_what_was_asked_and_how_to_say_it(way: Way) -> None:
    """A 404 of another API names the address and the option."""

    def nothing(_: Asked) -> list[Step]:
        return [sized(b'{"detail":"Not Found"}', status=b"404 Not Found")]

    with RawServer(nothing) as server:
        ((_, error),) = results_of(way, way.model(server.url), 1)
        assert isinstance(error, RequestRejectedError)
        assert server.requests[-1].path in str(error)
        assert "api='openai'" in str(error)
