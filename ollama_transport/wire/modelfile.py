"""Modelfiles as older programs write them; servers of today take the fields one by one."""

import re
from collections.abc import Iterator
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.wire.messages import Message

_COMMAND = re.compile(r"^\s*([A-Za-z]+)\s+(.*)$", re.DOTALL)
_DIGEST = re.compile(r"^@?(sha256[:-][0-9a-fA-F]{64})$")
_TEXTS = {"TEMPLATE": "template", "SYSTEM": "system", "LICENSE": "license", "REQUIRES": "requires"}
_LISTED = "stop"
"""The one parameter that may stand several times."""


def read_modelfile(text: str) -> dict[str, Any]:
    """Return the fields of a `CreateRequest` that a Modelfile asks for (wire reference 5.5).

    ``FROM @sha256:…`` and ``ADAPTER @sha256:…`` name uploaded blobs. A path is not read: text that
    a program was handed could name any file.

    Raises:
        ConfigError: for a line that is no command, a command that does not exist, and a path.
    """
    fields: dict[str, Any] = {}
    for command, value in _commands(text):
        if command in _TEXTS:
            fields[_TEXTS[command]] = value
        elif command == "FROM":
            _put_source(fields, value)
        elif command == "ADAPTER":
            fields.setdefault("adapters", {})["adapter.gguf"] = _digest("ADAPTER", value)
        elif command == "PARAMETER":
            _put_parameter(fields.setdefault("parameters", {}), value)
        elif command == "MESSAGE":
            role, _, content = value.partition(" ")
            fields.setdefault("messages", []).append(Message(role, _unquoted(content.strip())))
        else:
            raise ConfigError(
                f"a Modelfile has no command {command}: there are FROM, PARAMETER, TEMPLATE, "
                "SYSTEM, ADAPTER, LICENSE, MESSAGE and REQUIRES."
            )
    return fields


def _commands(text: str) -> Iterator[tuple[str, str]]:
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _COMMAND.match(line)
        if found is None:
            raise ConfigError(f"a Modelfile's line is not understood: {line[:80]!r}.")
        command, value = found[1].upper(), found[2].strip()
        # Three quotes hold a text of several lines.
        while value.count('"""') == 1:
            if (more := next(lines, None)) is None:
                raise ConfigError(f'a Modelfile\'s {command} opens """ and never closes it.')
            value = f"{value}\n{more}"
        if command not in ("PARAMETER", "MESSAGE"):
            value = _unquoted(value)
        yield command, value


def _unquoted(value: str) -> str:
    text = value.strip()
    for quotes in ('"""', '"'):
        if len(text) >= 2 * len(quotes) and text.startswith(quotes) and text.endswith(quotes):
            return text.removeprefix(quotes).removesuffix(quotes)
    return text


def _put_source(fields: dict[str, Any], value: str) -> None:
    found = _DIGEST.match(value)
    if found is not None:
        fields.setdefault("files", {})["model.gguf"] = found[1].replace("-", ":")
        return
    if value.startswith((".", "/", "~", "\\")) or value.lower().endswith((".gguf", ".safetensors")):
        raise ConfigError(
            f"FROM {value}: a file that a Modelfile names is not read. Use "
            "client.create_from_gguf(model, path), or client.upload(path) and files={name: digest}."
        )
    fields["from_"] = value


def _digest(command: str, value: str) -> str:
    found = _DIGEST.match(value)
    if found is None:
        raise ConfigError(
            f"{command} {value}: a file that a Modelfile names is not read. Use "
            "client.upload(path), and adapters={name: digest}."
        )
    return found[1].replace("-", ":")


def _put_parameter(parameters: dict[str, Any], value: str) -> None:
    name, _, text = value.partition(" ")
    setting = _number(_unquoted(text.strip()))
    if name == _LISTED:
        parameters.setdefault(name, []).append(str(setting))
    else:
        parameters[name] = setting


def _number(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
