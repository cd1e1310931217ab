"""Check the constructor arguments of the model classes, and separate the secrets in them."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError

from ollama_transport.errors import ConfigError
from ollama_transport.settings.client_settings import split_credentials
from ollama_transport.settings.host import Timeouts
from ollama_transport.settings.options import unknown_name
from ollama_transport.settings.secrets import is_secret_header, public_kwargs


def check_names(cls: type[BaseModel], data: Mapping[str, Any]) -> None:
    """Refuse constructor arguments that the class does not have, unless it allows extra ones.

    Raises:
        ConfigError: for an unknown argument; it names the most similar known one.
    """
    if cls.model_config.get("extra") == "allow":
        return  # a subclass with attributes of its own
    known = _known_names(cls)
    for name in data:
        if name not in known:
            raise unknown_name(f"argument of {cls.__name__}", name, known)


# Weak: programs make classes at runtime (pydantic's create_model), and drop them.
_KNOWN: WeakKeyDictionary[type[BaseModel], frozenset[str]] = WeakKeyDictionary()


def _known_names(cls: type[BaseModel]) -> frozenset[str]:
    known = _KNOWN.get(cls)
    if known is None:
        fields = cls.model_fields
        aliases = [a for one in fields.values() for a in (one.alias, one.validation_alias)]
        known = _KNOWN[cls] = frozenset([*fields, *(a for a in aliases if isinstance(a, str))])
    return known


def validation_error(owner: str, error: ValidationError) -> ConfigError:
    """Return (not raise) pydantic's error as ours, without the inputs, which may be secret."""
    faults = [_fault(fault) for fault in error.errors(include_url=False, include_input=False)]
    return ConfigError(f"{owner}: {'; '.join(faults)}")


def _fault(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    # pydantic adds this prefix to the messages of our own validators.
    said = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def part_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments with the secrets of URL and headers in separate fields."""
    # Before validation: afterwards a repr, a dump or an error message could show them.
    parted = dict(data)
    if isinstance(data.get("base_url"), str):
        parted["base_url"], found = split_credentials(data["base_url"])
        if found is not None:
            parted["credentials"] = found
    kwargs = dict(data.get("client_kwargs") or {})  # the peers' default is None
    given = {**dict(kwargs.pop("headers", None) or {}), **dict(data.get("headers") or {})}
    if "client_kwargs" in data:
        parted["client_kwargs"] = kwargs
        _lift_timeout(parted, kwargs)
    if given:
        secret = {name: value for name, value in given.items() if is_secret_header(name)}
        parted["headers"] = {n: v for n, v in given.items() if n not in secret} or None
        parted["secret_headers"] = {**secret, **data.get("secret_headers", {})}
    for name in ("sync_client_kwargs", "async_client_kwargs"):
        # The peers accept None for these.
        if name in data and data[name] is None:
            parted[name] = {}
    return parted


def _lift_timeout(parted: dict[str, Any], kwargs: dict[str, Any]) -> None:
    """Take over a timeout meant for httpx, so that errors name the right seconds."""
    if "timeout" in kwargs and "timeout" not in parted:
        value = kwargs.pop("timeout")
        if type(value).__module__.startswith("httpx"):  # an httpx.Timeout, without importing it
            value = Timeouts(value.connect, value.read, value.write)
        parted["timeout"] = value


def plain_kwargs(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the httpx arguments that may be serialised: plain values without secrets."""
    return {
        name: item
        for name, item in public_kwargs(value).items()
        if isinstance(item, str | int | float | bool | None)
    }
