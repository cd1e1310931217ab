"""Keys and headers: where they go, where they never go, and who wins."""

import copy
import logging
import pickle
from base64 import b64encode
from typing import Any

import httpx
import pytest
from faked import Network
from pydantic import SecretStr
from running import Run

from ollama_transport import ConfigError
from ollama_transport.settings.client_settings import _tell_key_unsent, make_settings
from ollama_transport.settings.secrets import is_secret_header

KEY = "sk-9f3a77"


def sent(run: Run, base_url: str | None = None, **settings: Any) -> httpx.Headers:
    """Return the headers that a client with these settings sends."""
    network = Network("version")
    run(run.client(base_url, transport=network, **settings).version())
    return network.requests[0].headers


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY)])
@pytest.mark.parametrize("url", ["https://gpu.example", "http://localhost:5", "http://127.0.0.1"])
def test_a_key_becomes_a_bearer_token(run: Run, url: str, key: Any) -> None:
    """A key travels encrypted or within this machine, as a Bearer token."""
    assert sent(run, url, api_key=key)["authorization"] == f"Bearer {KEY}"


def test_a_key_in_clear_is_refused_at_once(run: Run) -> None:
    """A key for plain http to another machine is an error before anything is sent."""
    with pytest.raises(ConfigError, match="allow_insecure_auth") as caught:
        run.client("http://gpu.example", api_key=KEY)
    assert KEY not in str(caught.value)


def test_a_key_in_clear_is_refused_when_the_host_comes_later(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds where OLLAMA_HOST names the machine."""
    monkeypatch.setenv("OLLAMA_HOST", "http://gpu.example")
    client = run.client(None, api_key=KEY, transport=Network("version"))
    with pytest.raises(ConfigError, match="unencrypted"):
        run(client.version())


def test_a_key_is_sent_over_http_when_allowed(run: Run) -> None:
    """Whoever owns the network may send the key in clear."""
    found = sent(run, "http://gpu.example", api_key=KEY, allow_insecure_auth=True)
    assert found["authorization"] == f"Bearer {KEY}"


def test_the_key_of_the_environment_is_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """OLLAMA_API_KEY counts where nothing else authenticates."""
    monkeypatch.setenv("OLLAMA_API_KEY", f" {KEY}\n")
    assert sent(run, "https://gpu.example")["authorization"] == f"Bearer {KEY}"
    assert sent(run, "https://gpu.example", api_key="own")["authorization"] == "Bearer own"
    basic = sent(run, "https://u:p@gpu.example")["authorization"]
    assert basic == "Basic dTpw"
    mine = sent(run, "https://gpu.example", headers={"Authorization": "Mine 1"})
    assert mine["authorization"] == "Mine 1"


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_key_counts_as_no_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    """An empty key sends no header."""
    monkeypatch.setenv("OLLAMA_API_KEY", empty)
    assert "authorization" not in sent(run, "https://gpu.example")
    assert "authorization" not in sent(run, "https://gpu.example", api_key="")


def test_the_environment_s_key_is_not_sent_unencrypted_and_warns_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """OLLAMA_API_KEY is not sent in clear; one warning tells so, without the key."""
    _tell_key_unsent.cache_clear()
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    with caplog.at_level(logging.WARNING, logger="ollama_transport"):
        assert "authorization" not in sent(run, "http://gpu.example")
        assert "authorization" not in sent(run, "http://gpu.example")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "http://gpu.example" in caplog.text
    assert KEY not in caplog.text


def test_userinfo_becomes_basic_auth(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password of a URL are sent as Basic auth, and not in the URL."""
    network = Network("version")
    run(run.client("http://user:p%40w@gpu.example:5", transport=network).version())
    assert network.requests[0].headers["authorization"] == "Basic dXNlcjpwQHc="
    assert str(network.requests[0].url) == "http://gpu.example:5/api/version"
    monkeypatch.setenv("OLLAMA_HOST", "http://user:p%40w@gpu.example:5")
    assert sent(run)["authorization"] == "Basic dXNlcjpwQHc="


@pytest.mark.parametrize("url", ["http://token@gpu.example", "http://token:@gpu.example"])
def test_a_user_alone_is_sent_with_its_colon(run: Run, url: str) -> None:
    """RFC 7617 joins user and password by a colon, also where the password is empty."""
    assert sent(run, url)["authorization"] == "Basic " + b64encode(b"token:").decode()


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://u:p@h", "api_key": KEY},
        {"base_url": "https://h", "api_key": KEY, "headers": {"authorization": "x"}},
        {"base_url": "https://u:p@h", "headers": {"Authorization": "x"}},
    ],
)
def test_two_ways_to_authenticate_are_a_conflict(settings: dict[str, Any]) -> None:
    """Two ways to authenticate at once are an error that names both."""
    with pytest.raises(ConfigError, match=r"one way to authenticate, not .* and "):
        make_settings(**settings)


def test_headers_of_the_caller_win_and_are_never_changed(run: Run) -> None:
    """The caller's headers are sent, win over ours, and the dict stays as it was (peers: c13)."""
    headers = {"X-Tenant": "a", "User-Agent": "mine", "X-None": None}
    before = dict(headers)
    kwargs = {"headers": {"X-Tenant": "b", "X-More": "c"}}
    network = Network("version")
    client = run.client(
        "https://u:p@h", headers=headers, client_kwargs={**kwargs, "transport": network}
    )
    run(client.version())
    found = network.requests[0].headers
    assert (found["x-tenant"], found["x-more"], found["user-agent"]) == ("a", "c", "mine")
    assert "x-none" not in found
    assert headers == before
    assert kwargs == {"headers": {"X-Tenant": "b", "X-More": "c"}}


def test_credentials_of_one_client_never_reach_another_host(run: Run) -> None:
    """One dict given to two clients carries nothing from the first to the second (peers: c13)."""
    network, kwargs = Network("version"), {"headers": {"x-a": "1"}}
    run(run.client("http://u:p@one", client_kwargs={**kwargs, "transport": network}).version())
    run(run.client("http://two", client_kwargs={**kwargs, "transport": network}).version())
    assert "authorization" not in network.requests[1].headers


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": f"{KEY}\n"},
        {"api_key": f"{KEY}é"},
        {"headers": {"x-key": f"{KEY}\r\nx: y"}},
        {"headers": {"x-key": 5}},
        {"headers": {"x key": "v"}},
    ],
)
def test_invalid_header_values_are_refused_without_being_shown(settings: dict[str, Any]) -> None:
    """A key with a line end is refused early, and the message does not show it."""
    with pytest.raises(ConfigError, match="header") as caught:
        make_settings("https://h", **settings)
    assert KEY not in str(caught.value)


def test_a_key_of_the_environment_that_no_header_can_carry_is_refused_unseen(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds for OLLAMA_API_KEY."""
    monkeypatch.setenv("OLLAMA_API_KEY", f"{KEY}é")
    with pytest.raises(ConfigError, match="OLLAMA_API_KEY cannot be sent") as caught:
        sent(run, "https://h")
    assert KEY not in str(caught.value)


SECRET_SETTINGS = [
    {"base_url": "https://h", "api_key": KEY},
    {"base_url": f"https://user:{KEY}@h"},
    {"base_url": "https://h", "headers": {"Authorization": KEY}},
    {"base_url": "https://h", "headers": {"X-Api-Key": KEY}},
    {"base_url": "https://h", "client_kwargs": {"headers": {"Authorization": KEY}}},
    {"base_url": "https://h", "client_kwargs": {"auth": ("user", KEY)}},
    {"base_url": "https://h", "client_kwargs": {"cookies": {"session": KEY}}},
]


@pytest.mark.parametrize("settings", SECRET_SETTINGS)
def test_no_secret_shows_or_travels(run: Run, settings: dict[str, Any]) -> None:
    """No secret is in a repr, a text or a pickle of a client and what it is made of."""
    client = run.client(**settings)
    shown = f"{client!r} {client} {client.settings!r} {client.config!r} {client.config.endpoint}"
    assert KEY not in shown
    assert KEY.encode() not in pickle.dumps(client)
    assert KEY.encode() not in pickle.dumps(client.settings)


@pytest.mark.parametrize("settings", SECRET_SETTINGS)
def test_a_pickle_says_that_its_secrets_stayed_behind(
    run: Run, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a pickle arrives, OLLAMA_API_KEY stands in for its secrets, and else an error does."""
    arrived = pickle.loads(pickle.dumps(run.client(**settings)))
    with pytest.raises(ConfigError, match="pickles contain no secrets"):
        arrived.config  # noqa: B018 - the property is what is tested
    monkeypatch.setenv("OLLAMA_API_KEY", "there")
    assert arrived.config.headers["authorization"] == "Bearer there"


def test_a_pickle_without_secrets_just_works(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickled client keeps its settings and asks the environment anew where it arrives."""
    client = run.client(None, timeout=7, max_retries=1, headers={"x-tenant": "a"})
    monkeypatch.setenv("OLLAMA_HOST", "elsewhere:5")
    arrived = pickle.loads(pickle.dumps(client))
    assert arrived.settings == client.settings
    assert arrived.config.endpoint.url == "http://elsewhere:5"


def test_a_deep_copy_keeps_its_secrets(run: Run) -> None:
    """A copy inside the process authenticates as before."""
    copied = copy.deepcopy(run.client("https://h", api_key=KEY))
    assert copied.config.headers["authorization"] == f"Bearer {KEY}"


def test_an_error_of_the_server_shows_no_secret(run: Run) -> None:
    """Neither key nor credentials are in an error, its message or its pickle."""
    for settings in ({"api_key": KEY}, {"headers": {"authorization": KEY}}):
        client = run.client("https://h", transport=Network("errors/no-model"), **settings)
        error = run.thrown(client.version)
        assert KEY not in f"{error} {error!r} {vars(error)}"
        assert KEY.encode() not in pickle.dumps(error)


def test_the_callers_http_client_authenticates_before_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Authorization header of the caller's httpx client is not overwritten by OLLAMA_API_KEY."""
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    network = Network("version")
    kind = httpx.AsyncClient if run.is_async else httpx.Client
    http = kind(transport=network, headers={"Authorization": "Mine"}, base_url="https://h:5")
    client = run.client(None, http_client=http)
    run(client.version())
    assert network.requests[0].headers["authorization"] == "Mine"
    assert str(network.requests[0].url) == "https://h:5/api/version"
    run(client.aclose() if run.is_async else client.close())
    assert not http.is_closed
    run(http.aclose() if run.is_async else http.close())


@pytest.mark.parametrize(
    ("name", "value"),
    [("transport", Network("version")), ("client_kwargs", {"verify": False}), ("timeout", 5)],
)
def test_an_http_client_brings_its_own(run: Run, name: str, value: Any) -> None:
    """What an http_client already decides cannot be given beside it and be lost."""
    with pytest.raises(ConfigError, match=f"has its own {name}"):
        run.client("http://h", http_client=object(), **{name: value})


def test_a_transport_is_given_once(run: Run) -> None:
    """Two transports are a conflict."""
    with pytest.raises(ConfigError, match="not both"):
        run.client(transport=Network("version"), client_kwargs={"transport": Network("version")})


@pytest.mark.parametrize("api", ["grpc", "", None])
def test_a_wire_that_does_not_exist_is_an_error(run: Run, api: Any) -> None:
    """The wire is native, openai or chosen by the URL."""
    with pytest.raises(ConfigError, match='give "auto", "native" or "openai"'):
        run.client(api=api)


@pytest.mark.parametrize(
    ("url", "api", "wire"),
    [
        ("http://h", "auto", "native"),
        ("http://h/v1", "auto", "openai"),
        ("http://h/v1", "native", "native"),
        ("http://h/api", "auto", "native"),
        ("http://h", "openai", "openai"),
    ],
)
def test_the_url_chooses_the_wire_by_default(run: Run, url: str, api: Any, wire: str) -> None:
    """`api` decides; "auto" goes by the suffix of the URL."""
    assert run.client(url, api=api).config.wire == wire


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("Authorization", True),
        ("Proxy-Authorization", True),
        ("X-API-Key", True),
        ("X-Key", True),
        ("Ocp-Apim-Subscription-Key", True),
        ("X-Auth-Token", True),
        ("cf-access-jwt-assertion", True),
        ("CF-Access-Client-Secret", True),
        ("Cookie", True),
        ("X-Amz-Signature", True),
        ("X-Team", False),
        ("X-Request-Id", False),
        ("User-Agent", False),
        ("Accept", False),
    ],
)
def test_headers_that_let_somebody_in_are_secret(name: str, secret: bool) -> None:
    """Gateways have names of their own for their keys; none of them appears in dumps."""
    assert is_secret_header(name) is secret
