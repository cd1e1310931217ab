"""Servers that are gone, moved, behind proxies and TLS: what each of the 24 ways makes of them."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest
import trustme
from fault_ways import RIGHT, WAYS, Result, Way, results_of
from faults import Gives, class_names
from raw_server import Asked, End, RawServer, Step
from right_answers import CHUNKED, chunk, head, is_generation, kind_of, otherwise, right, sized

ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
NOT_REACHED = "OllamaConnectionError"


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(otherwise, is_scripted=is_generation) as found:
        yield found


def all_right(way: Way, results: list[Result]) -> None:
    assert results == [(RIGHT[way.form], None)] * len(results)


def all_say(results: list[Result], *parts: str) -> None:
    """Check that results are connection errors whose messages have these parts."""
    for _, error in results:
        assert error is not None
        assert class_names(error) == [NOT_REACHED]
        assert [part for part in parts if part not in str(error)] == [], str(error)


@ways
def test_a_port_without_a_listener(way: Way) -> None:
    """A refused connection names the address and says what to do, each time."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    results = results_of(way, way.model(url))
    all_say(results, url, "Is the server running" if way.is_openai else "ollama serve")


@ways
def test_an_unknown_name(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed look-up is a server that was not reached."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    results = results_of(way, way.model("http://gpu.invalid:11434"))
    all_say(results, "gpu.invalid", "not known")


@ways
def test_a_server_that_is_killed_and_comes_back(way: Way, server: RawServer) -> None:
    """While it is gone calls fail; the first call after that succeeds, with no second try."""
    steps = iter([server.kill, server.start])
    first, during, after = results_of(way, way.model(server.url), 3, lambda: next(steps)())
    all_right(way, [first, after])
    all_say([during], server.url)


@ways
def test_a_server_that_is_restarted_between_two_calls(way: Way, server: RawServer) -> None:
    """The connection of the first call is dead: the second opens another, without a retry."""

    def restart() -> None:
        server.kill()
        server.start()

    all_right(way, results_of(way, way.model(server.url), 3, restart))


@ways
def test_an_address_of_ipv6(way: Way) -> None:
    """Brackets in base_url work as names do."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(RawServer(otherwise, host="::1"))
        except OSError:
            pytest.skip("this machine has no IPv6")
        results = results_of(way, way.model(server.url))
        all_right(way, results)
        server.wait_until_left()


def proxied(asked: Asked) -> list[Step]:
    """Answer as a proxy does: for the address that stands in the request's first line."""
    if asked.method == "CONNECT":
        return [sized(b"", status=b"502 Bad Gateway")]
    path = "/" + asked.target.removeprefix("http://gpu.example/")
    return otherwise(Asked(asked.method, path, asked.headers, asked.body, 0, 0))


@ways
def test_a_proxy_of_the_environment(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is used for other machines, and NO_PROXY is heard."""
    with RawServer(proxied) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        results = results_of(way, way.model("http://gpu.example"))
        all_right(way, results)
        assert proxy.requests[-1].target.startswith("http://gpu.example/")
        proxy.wait_until_left()


@ways
def test_a_proxy_of_one_model(way: Way) -> None:
    """`client_kwargs` name a proxy, as the guide on deployment says."""
    with RawServer(proxied) as proxy:
        model = way.model("http://gpu.example", client_kwargs={"proxy": proxy.url})
        all_right(way, results_of(way, model))
        proxy.wait_until_left()


@ways
def test_a_proxy_is_not_asked_for_this_machine(
    way: Way, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on the loopback is reached directly, whatever the environment says."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    all_right(way, results_of(way, way.model(server.url)))


@ways
def test_a_proxy_that_is_gone_or_refuses(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either is a server that was not reached."""
    with RawServer(proxied) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        results = results_of(way, way.model("https://gpu.example"))
        all_say(results, "gpu.example", "502")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        model = way.model("http://gpu.example")
    all_say(results_of(way, model), "gpu.example")


def certified() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a server with a certificate of its own, and of who trusts it."""
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting


@pytest.fixture(scope="module")
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certified()


@ways
def test_an_untrusted_certificate(
    way: Way, certificates: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """It is refused, and the message says how to trust it; then the answer comes."""
    serving, trusting = certificates
    with RawServer(otherwise, tls=serving) as server:
        results = results_of(way, way.model(server.url))
        all_say(results, "CERTIFICATE_VERIFY_FAILED", "verify")
        model = way.model(server.url, client_kwargs={"verify": trusting})
        all_right(way, results_of(way, model))
        server.wait_until_left()


@ways
@pytest.mark.parametrize("end", [End.RAGGED, End.CLOSE, End.RESET], ids=lambda end: end.value)
def test_tls_that_is_cut(
    way: Way, end: End, certificates: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Half of an answer is a cut, with close_notify and without; the next call is answered."""
    serving, trusting = certificates

    def half(asked: Asked) -> list[Step]:
        answer = right(asked)
        return [head(CHUNKED, kind_of(answer)), chunk(answer.body[: len(answer.body) // 2]), end]

    with RawServer(otherwise, is_scripted=is_generation, tls=serving) as server:
        server.play(half)
        model = way.model(server.url, client_kwargs={"verify": trusting})
        first, second = results_of(way, model)
        Gives("StreamTruncatedError").check(way, first)
        all_right(way, [second])
        server.wait_until_left()


@ways
def test_the_wrong_scheme(
    way: Way, server: RawServer, certificates: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Https to a server without TLS says so; http to one with TLS is no answer."""
    plain = server.url.replace("http:", "https:")
    all_say(results_of(way, way.model(plain)), "http://")
    serving, _ = certificates
    with RawServer(otherwise, tls=serving) as secret:
        results = results_of(way, way.model(secret.url.replace("https:", "http:")))
        all_say(results, "closed the connection")
