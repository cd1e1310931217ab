"""The base of answers about models, which pydantic reads."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_validator

# pydantic exports this from its root only since 2.10.4.
from pydantic.functional_validators import ModelWrapValidatorHandler

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.values.by_key import ByKey


class Answer(ByKey, BaseModel):
    """An answer about models: typed, unknown keys kept, the object as it came in `raw`."""

    # Names such as model_info are the server's own; a dozen validators built at import would cost
    # every program that never lists a model.
    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=(), defer_build=True)

    _raw: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def raw(self) -> Mapping[str, Any]:
        """Return the object exactly as the server sent it."""
        return self._raw

    @model_validator(mode="wrap")
    @classmethod
    def _keep_raw(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # A validator, so that nested answers keep theirs as well.
        answer = handler(cls._completed(raw))
        if isinstance(raw, Mapping):
            answer._raw = raw
        return answer

    @classmethod
    def _completed(cls, raw: Any) -> Any:
        """Return the object to read: null in a part of it means that the part is not there."""
        if not isinstance(raw, Mapping):
            return raw
        known = cls.model_fields
        return {key: value for key, value in raw.items() if value is not None or key not in known}

    @classmethod
    def from_native(cls, raw: Mapping[str, Any]) -> Self:
        """Read the answer.

        Raises:
            ProtocolError: when it does not have the shape that an Ollama server sends.
        """
        try:
            return cls.model_validate(raw)
        # A size of many digits overflows in pydantic before 2.12.
        except (ValidationError, OverflowError) as error:
            raise ProtocolError(
                f"the answer is not a {cls.__name__}: {error}", line=_start(raw)
            ) from error


class NamedAnswer(Answer):
    """What a list says of a model; older and other servers leave out one of its two names."""

    @classmethod
    def _completed(cls, raw: Any) -> Any:
        found = super()._completed(raw)
        if not isinstance(found, Mapping):
            return found
        name, model = found.get("name"), found.get("model")
        if name and not model:
            return {**found, "model": name}
        return {**found, "name": model} if model and not name else found


def _start(raw: Mapping[str, Any]) -> bytes:
    return brief(dict(raw)).encode("utf-8", "replace")
