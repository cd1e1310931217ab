"""The blocking client and the asynchronous one are one program in two spellings."""

import ast
import inspect
import textwrap

import pytest

from ollama_transport.client import clients as client_module
from ollama_transport.client import endpoints as endpoints_module
from ollama_transport.client import keywords as keywords_module
from ollama_transport.client import keywords_async as keywords_async_module
from ollama_transport.client import sending as sending_module
from ollama_transport.client import transfers as transfers_module
from ollama_transport.client import wires as wires_module
from ollama_transport.net import connections as connections_module

# Read in this order; each has to be needed by one of the pairs.
SUBSTITUTIONS = [
    ("async def ", "def "),
    ("async with ", "with "),
    ("async for ", "for "),
    ("await ", ""),
    ("AsyncRetrying", "Retrying"),
    ("AsyncBegun", "Begun"),
    ("then_async", "then"),
    ("Awaitable[R]", "R"),
    ("AsyncGenerator", "Generator"),
    ("AsyncEndpoints", "Endpoints"),
    ("AsyncTransfers", "Transfers"),
    ("AsyncWires", "Wires"),
    ("AsyncKeywords", "Keywords"),
    ("AsyncFiles", "Files"),
    ("AsyncSender", "Sender"),
    ("httpx.AsyncClient", "httpx.Client"),
    ("class AsyncClient(", "class Client("),
    ("AsyncPieces", "Pieces"),
    ("aclosing", "closing"),
    ("aiter(", "iter("),
    ("aiter_content", "iter_content"),
    ("asend(http", "send(http"),
    ("aread", "read"),
    ("acontent_of", "content_of"),
    ("arelease", "release"),
    ("atidy", "tidy"),
    ("aclose", "close"),
    ("atidy", "tidy"),
    ("for_loop", "sync"),
    ("await_start", "wait"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("__aiter__", "__iter__"),
    ("AsyncIterable", "Iterable"),
    ("AsyncIterator", "Iterator"),
    ("AsyncConnection", "Connection"),
    ("_AsyncContent", "_Content"),
    ("httpx.AsyncHTTPTransport", "httpx.HTTPTransport"),
    ("AsyncTransport", "Transport"),
    ("handle_async_request", "handle_request"),
    ("LoopStream", "SocketStream"),
]
PAIRS = [
    (client_module.AsyncClient, client_module.Client),
    (sending_module.AsyncSender, sending_module.Sender),
    (endpoints_module.AsyncEndpoints, endpoints_module.Endpoints),
    (keywords_async_module.AsyncKeywords, keywords_module.Keywords),
    (transfers_module.AsyncTransfers, transfers_module.Transfers),
    (wires_module.AsyncWires, wires_module.Wires),
    (connections_module.AsyncConnection, connections_module.Connection),
    (connections_module._AsyncContent, connections_module._Content),
    (connections_module.AsyncConnectionPool, connections_module.ConnectionPool),
    (connections_module.AsyncTransport, connections_module.Transport),
]


def source(cls: type) -> str:
    """Return a class's source in one layout, without docstrings and comments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def in_sync_words(text: str) -> str:
    for old, new in SUBSTITUTIONS:
        text = text.replace(old, new)
    return ast.unparse(ast.parse(text))  # once more, since an `await` leaves its brackets behind


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS)
def test_the_two_clients_differ_in_async_words_alone(asynchronous: type, blocking: type) -> None:
    """What is done to one client must be done to the other."""
    assert in_sync_words(source(asynchronous)) == source(blocking)


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS)
def test_the_two_clients_are_documented_alike(asynchronous: type, blocking: type) -> None:
    """Methods of one name say the same of themselves."""
    for name, method in vars(blocking).items():
        twin = vars(asynchronous).get(in_async_name(name))
        if inspect.isfunction(method) and twin is not None:
            assert inspect.getdoc(twin) == inspect.getdoc(method), name


def in_async_name(name: str) -> str:
    return {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}.get(name, name)


def same(text: str, blocking: str) -> bool:
    try:
        return ast.unparse(ast.parse(text)) == blocking
    except SyntaxError:
        return False


def in_sync_name(name: str) -> str:
    return "close" if name == "aclose" else name


@pytest.mark.parametrize("old", [old for old, _ in SUBSTITUTIONS])
def test_every_substitution_is_needed(old: str) -> None:
    """A word that no longer differs leaves the list, which else would hide a difference."""
    rest = [pair for pair in SUBSTITUTIONS if pair[0] != old]
    for asynchronous, blocking in PAIRS:
        text = source(asynchronous)
        for word, new in rest:
            text = text.replace(word, new)
        if not same(text, source(blocking)):
            return
    raise AssertionError(f"{old!r} is not needed any more")


def test_both_clients_have_the_same_methods() -> None:
    """Nothing is offered to one half of the users only."""
    names = [
        {in_sync_name(name) for name in dir(cls) if not name.startswith("_")}
        for cls in (client_module.AsyncClient, client_module.Client)
    ]
    assert names[0] == names[1]
