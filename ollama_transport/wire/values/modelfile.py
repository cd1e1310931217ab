"""Parse Modelfiles, which older programs send; current servers take the fields one by one."""

import re
from collections.abc import Iterator
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.wire.values.messages import Message

_COMMAND = re.compile(r"^\s*([A-Za-z]+)\s+(.*)$", re.DOTALL)
_DIGEST = re.compile(r"^@?(sha256[:-][0-9a-fA-F]{64})$")
_TEXTS = {"TEMPLATE": "template", "SYSTEM": "system", "LICENSE": "license", "REQUIRES": "requires"}
_LISTED = "stop"
"""The one parameter that may occur several times."""


def read_modelfile(text: str) -> dict[str, Any]:
    """Return a Modelfile as the fields of a `CreateRequest` (wire reference 5.5).

    ``FROM @sha256:…`` and ``ADAPTER @sha256:…`` name uploaded blobs. Paths are refused: untrusted
    text could name any file.

    Raises:
        ConfigError: for a line that is not a command, an unknown command, and a path.
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
                f"unknown Modelfile command {command}: use FROM, PARAMETER, TEMPLATE, SYSTEM, "
                "ADAPTER, LICENSE, MESSAGE or REQUIRES."
            )
    return fields


def _commands(text: str) -> Iterator[tuple[str, str]]:
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _COMMAND.match(line)
        if found is None:
            raise ConfigError(
                f"this line of the Modelfile is not a command: {line[:80]!r}. Write COMMAND value."
            )
        command, value = found[1].upper(), found[2].strip()
        # Triple quotes enclose text of several lines.
        while value.count('"""') == 1:
            if (more := next(lines, None)) is None:
                raise ConfigError(f'{command} in the Modelfile opens """ and never closes it.')
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
    # The files of blobs have a dash in their names, the API wants a colon.
    found = _DIGEST.match(value)
    if found is not None:
        fields.setdefault("files", {})["model.gguf"] = found[1].replace("-", ":")
        return
    # Anything else is a model's name, which may contain slashes as well.
    if value.startswith((".", "/", "~", "\\")) or value.lower().endswith((".gguf", ".safetensors")):
        raise ConfigError(
            f"FROM {value}: files named by a Modelfile are not read. Use "
            "client.create_from_gguf(model, path), or client.upload(path) and files={name: digest}."
        )
    fields["from_"] = value


def _digest(command: str, value: str) -> str:
    found = _DIGEST.match(value)
    if found is None:
        raise ConfigError(
            f"{command} {value}: files named by a Modelfile are not read. Use "
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
    # The server checks types: a number as text would be refused (wire reference 6).
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
