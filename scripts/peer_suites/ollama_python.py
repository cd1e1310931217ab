"""The suite of ollama-python: mocks of a server, by pytest-httpserver."""

import re

from peer_suites.suite import Suite

_INTERNAL_REQUEST = re.compile(r"monkeypatch\.setattr\((?:Async)?Client, '_request', \w+\)")
_FROM_PLUGIN = "from peer_suites.as_ollama import sent_headers, served\n"


def _at_the_network(name: str, text: str) -> str:
    """Return a test file whose mocks of the client's internals are a server's answers."""
    if name != "test_client.py":
        return text
    text = _INTERNAL_REQUEST.sub("served(monkeypatch)", text)
    return _FROM_PLUGIN + text.replace("client._client.headers", "sent_headers(client)")


_TEXT = "An image given as text"
_PRIVATE = "`client._client`, `client._request`, `ollama._types`, `ollama._utils`"
_REQUESTS = "Objects of requests (`ollama._types.CreateRequest`)"
_SCHEMAS = "Schemas of tools"
_WEB = "`web_search`, `web_fetch`"

SUITE = Suite(
    requirement="ollama==0.6.3",
    tests=["tests"],
    plugin="as_ollama",
    arguments=["-p", "no:asyncio"],
    rewrite=_at_the_network,
    differs={
        "test_client_chat_images[path-dict]": _TEXT,
        "test_client_chat_images[path-pydantic_model]": _TEXT,
        "test_client.test_client_generate_images": _TEXT,
        "test_client.test_async_client_generate_images": _TEXT,
        "test_image_serialization_string_path": _TEXT,
        **{
            f"test_image_serialization_string_path_uppercase_extension[{extension}]": _TEXT
            for extension in ("PNG", "JPG", "JPEG", "WEBP")
        },
        "test_systemone_wire_and_answers[module]": _PRIVATE,
        "test_headers": "Headers of requests",
        "test_async_client_connection_error": "Texts of errors",
        "test_client_web_search_requires_bearer_auth_header": _WEB,
        "test_client_web_fetch_requires_bearer_auth_header": _WEB,
        "test_client_web_search_with_explicit_bearer_header": _WEB,
        "test_client_web_fetch_with_explicit_bearer_header": _WEB,
        "test_client.test_client_close": _PRIVATE,
        "test_client.test_async_client_close": _PRIVATE,
        "test_client.test_client_context_manager": _PRIVATE,
        "test_client.test_async_client_context_manager": _PRIVATE,
        "test_create_request_serialization": _REQUESTS,
        "test_create_request_serialization_exclude_none_true": _REQUESTS,
        "test_create_request_serialization_exclude_none_false": _REQUESTS,
        "test_create_request_serialization_license_list": _REQUESTS,
        **{
            f"test_think_model_defined_levels_serialization[{level}]": _REQUESTS
            for level in ("low", "medium", "high", "xhigh", "max")
        },
        "test_think_boolean_serialization": _REQUESTS,
        "test_function_with_all_types": _SCHEMAS,
        "test_function_with_no_docstring": _SCHEMAS,
        "test_function_with_only_description": _SCHEMAS,
    },
)
