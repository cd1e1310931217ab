"""Hosts, ports and timeouts: what is understood, and what is refused with a reason."""

import httpx
import pytest

from ollama_transport import ConfigError, Timeouts, parse_host
from ollama_transport.settings.host import endpoint_from_env

# The table of wire reference 8.4; where ours differs from Go's, the reason stands beside it.
HOSTS = [
    ("", "http://127.0.0.1:11434"),
    ("1.2.3.4", "http://1.2.3.4:11434"),
    (":56789", "http://127.0.0.1:56789"),  # Go leaves the host empty
    ("1.2.3.4:", "http://1.2.3.4:11434"),
    ("http://h", "http://h:80"),
    ("https://h", "https://h:443"),
    ("h/path", "http://h:11434/path"),
    ("h:5678/path/", "http://h:5678/path"),  # Go keeps the slash, which the server would redirect
    ("0.0.0.0", "http://127.0.0.1:11434"),  # cannot be connected to everywhere
    ("0.0.0.0:80", "http://127.0.0.1:80"),
    ("::1", "http://[::1]:11434"),
    ("::", "http://[::1]:11434"),
    ("[::]:5", "http://[::1]:5"),
    ("[0:0::0]:5", "http://[::1]:5"),
    ("[::1]:1337", "http://[::1]:1337"),
    ("ollama.com", "https://ollama.com:443"),
    ("ollama.com:443", "http://ollama.com:443"),
    ("OLLAMA.COM", "http://ollama.com:11434"),  # the same server by a lower-case name
    ('"1.2.3.4:5"', "http://1.2.3.4:5"),
    ("'1.2.3.4:5'", "http://1.2.3.4:5"),
    (" 1.2.3.4 ", "http://1.2.3.4:11434"),
    ("http://", "http://127.0.0.1:80"),
    ("http://user:pw@h:99", "http://h:99"),
    ("[fe80::1%eth0]:99", "http://[fe80::1%eth0]:99"),
    ("HTTP://h", "http://h:80"),  # Go takes port 11434 there; schemes have no case
    ("my_server:8080", "http://my_server:8080"),
    ("https://gpu.example/ollama", "https://gpu.example:443/ollama"),
]

REFUSED = [
    "h:0",
    "h:66000",
    "h:abc",
    "h:-1",
    "ftp://h",
    "http://h?x=1",
    "http://h/path?x=1",
    "http://h/path#x",
    "http://h/a b",
    "a b",
    "http:/h",
    "https//h",
    "http://h:80:90",
    "http://[::1",
    "[::x]:5",
]


@pytest.mark.parametrize(("text", "url"), HOSTS)
def test_a_host_is_read_by_the_rules_of_ollama(text: str, url: str) -> None:
    """A host means the URL that Ollama's own rules give it, made connectable."""
    assert parse_host(text).url == url


@pytest.mark.parametrize("text", [text for text, _ in HOSTS])
def test_every_url_can_be_sent_to(text: str) -> None:
    """What we make of a host is a URL that httpx takes."""
    endpoint = parse_host(text)
    url = httpx.URL(endpoint.url + "/api/chat")
    assert url.host == endpoint.host.strip("[]")
    assert url.port in (endpoint.port, None)  # httpx drops a scheme's own port


@pytest.mark.parametrize("text", REFUSED)
def test_a_host_that_is_not_understood_is_an_error(text: str) -> None:
    """A wrong host is an error that shows the accepted forms, never a silent localhost."""
    with pytest.raises(
        ConfigError, match=r"invalid Ollama host.*accepted are HOST, HOST:PORT, :PORT"
    ):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "url", "wire"),
    [
        ("http://h:1/v1", "http://h:1", "openai"),
        ("http://h:1/v1/", "http://h:1", "openai"),
        ("http://h:1/proxy/v1", "http://h:1/proxy", "openai"),
        ("http://h:1/api", "http://h:1", "native"),
        ("http://h:1/proxy/api/", "http://h:1/proxy", "native"),
        ("http://h:1/xv1", "http://h:1/xv1", None),
        ("http://h:1/v1/more", "http://h:1/v1/more", None),
    ],
)
def test_a_suffix_chooses_the_wire(text: str, url: str, wire: str | None) -> None:
    """A suffix of /v1 or /api says which wire is meant, and is not sent twice."""
    endpoint = parse_host(text)
    assert (endpoint.url, endpoint.wire) == (url, wire)


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("http://user:pw@h", "user:pw"),
        ("user:pw@h:5", "user:pw"),
        ("http://user:p%2Fw%40@h", "user:p/w@"),
        ("http://user:p@w@h", "user:p@w"),
        ("http://@h", None),
        ("http://h", None),
    ],
)
def test_userinfo_becomes_credentials(text: str, credentials: str | None) -> None:
    """User and password are taken out of the URL, decoded, and shown by no repr."""
    endpoint = parse_host(text)
    assert endpoint.credentials == credentials
    assert "pw" not in repr(endpoint) + endpoint.url


@pytest.mark.parametrize(
    "text",
    [
        "http://bob:s3cret@h:abc",
        "http://bob:s3cret@h?x",
        "http://bob:s3/cret@h",
        "http://bob:12/s3cret@h",
        "http://bob:a://s3cret@h:x",
        "ftp://bob:s3cret@h",
        "bob:s3cret@h:x",
        "http://bob:s3cret@h/a b",
    ],
)
def test_no_message_shows_credentials(text: str) -> None:
    """A host that is not understood is shown without its user and password."""
    with pytest.raises(ConfigError) as caught:
        parse_host(text)
    assert not any(part in str(caught.value) for part in ("bob", "s3", "cret"))


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:11434"),
        ({"OLLAMA_HOST": "h"}, "http://h:11434"),
        ({"OLLAMA_PORT": "5"}, "http://127.0.0.1:5"),
        ({"OLLAMA_HOST": "h", "OLLAMA_PORT": "5"}, "http://h:5"),
        ({"OLLAMA_HOST": "h:7", "OLLAMA_PORT": "5"}, "http://h:7"),
        ({"OLLAMA_HOST": "https://h", "OLLAMA_PORT": ' "5" '}, "https://h:5"),
        ({"OLLAMA_HOST": "  ", "OLLAMA_PORT": ""}, "http://127.0.0.1:11434"),
    ],
)
def test_the_environment_names_host_and_port(environ: dict[str, str], url: str) -> None:
    """OLLAMA_PORT counts where OLLAMA_HOST names no port."""
    assert endpoint_from_env(environ).url == url


@pytest.mark.parametrize("port", ["0", "66000", "abc", "-1", "5.5"])
def test_a_bad_port_of_the_environment_is_an_error(port: str) -> None:
    """OLLAMA_PORT must be a port."""
    with pytest.raises(ConfigError, match="OLLAMA_PORT is"):
        endpoint_from_env({"OLLAMA_PORT": port})


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("", True),
        ("localhost", True),
        ("a.localhost:5", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("192.168.1.5", False),
        ("localhost.example", False),
        ("http://gpu", False),
        ("[fe80::1%eth0]", False),
    ],
)
def test_loopback_is_this_machine_only(text: str, loopback: bool) -> None:
    """Only loopback addresses and localhost count as this machine."""
    assert parse_host(text).is_loopback is loopback


@pytest.mark.parametrize(
    ("text", "cloud"),
    [("ollama.com", True), ("https://www.ollama.com", True), ("notollama.com", False)],
)
def test_the_cloud_is_known_by_its_name(text: str, cloud: bool) -> None:
    """Only ollama.com and what is below it is the cloud."""
    assert parse_host(text).is_cloud is cloud


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (60, Timeouts(5.0, 60, 60)),
        (2, Timeouts(2, 2, 2)),
        ((3, 60), Timeouts(3, 60, 60)),
        ((3, 60, 30, 10), Timeouts(3, 60, 30)),
        ((None, None), Timeouts(None, None, None)),
        (None, Timeouts(5.0, None, None)),
        (Timeouts(1, 2, 3), Timeouts(1, 2, 3)),
    ],
)
def test_a_timeout_has_many_forms(value: object, expected: Timeouts) -> None:
    """Seconds, pairs, None and Timeouts all mean waits in seconds."""
    assert Timeouts.of(value) == expected  # type: ignore[arg-type] # wider than the annotation


@pytest.mark.parametrize(
    "value", [0, -1, True, "60", (1, 2, 3), (0, 5), (1, "x"), float("inf"), float("nan"), [1, 2]]
)
def test_an_invalid_timeout_is_an_error(value: object) -> None:
    """Zero, negative, endless and foreign values are refused before anything is sent."""
    with pytest.raises(ConfigError, match="seconds"):
        Timeouts.of(value)  # type: ignore[arg-type] # wrong on purpose


def test_the_defaults_wait_for_a_model_to_load() -> None:
    """Connecting takes 5 s at most, and 300 s of silence are allowed while a model loads."""
    assert Timeouts() == Timeouts(connect_s=5.0, read_s=300.0, write_s=300.0)
