"""The fields that every model class has: its server, and the lifetime of its clients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    model_validator,
)

from ollama_transport.client.arguments import (
    check_names,
    part_secrets,
    plain_kwargs,
    validation_error,
)
from ollama_transport.client.client_options import OF_CONDUCT, ClientSettings
from ollama_transport.client.declared import DeclaredFields
from ollama_transport.client.pair import Clients, Recipe
from ollama_transport.client.resolved import DECIDING, Resolved
from ollama_transport.errors import ConfigError
from ollama_transport.settings.client_settings import (
    ClientKwargs,
    Settings,
    make_settings,
    split_credentials,
)
from ollama_transport.settings.retry import RetryPolicy
from ollama_transport.settings.secrets import public_kwargs

if TYPE_CHECKING:
    from ollama_transport.client.clients import AsyncClient, Client

_KWARGS = ("client_kwargs", "sync_client_kwargs", "async_client_kwargs")
REQUESTS_AT_ONCE = 4
"""Concurrent requests of one call, if `max_concurrency` is not set."""

_DECIDING_MORE = frozenset(DECIDING) - {"base_url"}
_OF_OWN_CLIENTS = (
    *("ledger", "budget", "pull_missing", "on_pull", "on_token"),
    *("requests_per_minute", "wire_streaming", "telemetry"),
)


class ServerFields(DeclaredFields):
    """Fields of a model class for its server, and the lifetime of its clients.

    A mixin for pydantic models. Creating one does no I/O and reads no environment. Its clients are
    made at the first call, shared between models of equal settings, and closed by `close`,
    `aclose`, a ``with`` block, or when the last model that uses them is gone. Pickles contain no
    secrets: OLLAMA_API_KEY is read again where they are loaded.

    Raises:
        ConfigError: for a wrong or unknown argument; it names the argument and shows no secret.

    ```python
    from langchain_ollama_ext import ChatOllama

    with ChatOllama(model="llama3.2", timeout=60, max_retries=3, max_concurrency=8) as model:
        print(model.invoke("Hello").content)
    ```
    """

    _clients: Clients = PrivateAttr(default_factory=Clients)
    _resolved: Resolved = PrivateAttr(default_factory=Resolved)

    def __init__(self, **data: Any) -> None:
        check_names(type(self), data)
        try:
            super().__init__(**data)
        except ValidationError as error:
            # `from None`: pydantic's error contains the inputs, and with them keys.
            raise validation_error(type(self).__name__, error) from None

    @model_validator(mode="before")
    @classmethod
    def _part_secrets(cls, data: Any) -> Any:
        return part_secrets(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _check_server(self) -> Self:
        # Defaults are valid, so only the URL is checked; the first call builds the settings.
        if self._has_defaults_alone():
            split_credentials(self.base_url)
        else:
            self.server_settings()
        return self

    def _has_defaults_alone(self) -> bool:
        given = _DECIDING_MORE & self.__pydantic_fields_set__
        fields = type(self).__pydantic_fields__
        return all(self.__dict__[name] is fields[name].default for name in given)

    @field_serializer("api_key")
    def _hide(self, _: SecretStr | None) -> None:
        return None

    @field_serializer("client_kwargs", "sync_client_kwargs", "async_client_kwargs")
    def _plain_kwargs(self, value: dict[str, Any]) -> dict[str, Any]:
        return plain_kwargs(value)

    @property
    def requests_at_once(self) -> int:
        """Return the number of concurrent requests of one call."""
        return REQUESTS_AT_ONCE if self.max_concurrency is None else self.max_concurrency

    def server_settings(self) -> Settings:
        """Return the checked settings of the clients.

        Raises:
            ConfigError: for settings that cannot work.
        """
        return self._recipe().settings.server

    def _made_settings(self) -> Settings:
        secret = {name: value.get_secret_value() for name, value in self.secret_headers.items()}
        settings = make_settings(
            self.base_url,
            api_key=self.api_key,
            credentials=self.credentials,
            headers={**(self.headers if self.headers is not None else {}), **secret},
            timeout=self.timeout,
            retry=RetryPolicy(
                self.max_retries,
                self.retry_max_wait_s,
                loading_max_wait_s=self.loading_max_wait_s,
            ),
            api=self.api,
            allow_insecure_auth=self.allow_insecure_auth,
            max_answer_bytes=self.max_answer_bytes,
        )
        return settings.after_pickle() if self.secrets_lost else settings

    def sync_client(self) -> "Client":
        """Return the blocking client, made when first needed."""
        return self._own_clients().sync(self._recipe())

    def async_client(self) -> "AsyncClient":
        """Return the asynchronous client, made when first needed."""
        return self._own_clients().asynchronous(self._recipe())

    def use_clients(
        self, sync: "Client | None" = None, asynchronous: "AsyncClient | None" = None
    ) -> None:
        """Use these clients instead of the model's own; their creator closes them.

        Raises:
            ConfigError: for a field of this model that affects only its own clients.
        """
        for name in _OF_OWN_CLIENTS:
            # For these two, False is a choice; for the others it is the default.
            unset = (None,) if name in ("wire_streaming", "telemetry") else (None, False)
            if getattr(self, name) not in unset:
                raise ConfigError(f"Set {name} on the client you passed, not on the model.")
        self._clients = Clients(sync, asynchronous)

    def chosen_model(self, capability: str = "completion") -> str | None:
        """Return the model that was chosen by default, without I/O; None before the first call."""
        memories = self._clients.memories(self._recipe())
        chosen = (memory.default(capability) for memory in memories)
        return next((name for name in chosen if name is not None), None)

    def request_fields(self) -> dict[str, Any]:
        """Return the fields that every request of this model has."""
        extra = {} if self.extra_body is None else dict(self.extra_body)
        return {"extra": extra, "unsupported_options": self.unsupported_options}

    def _recipe(self) -> Recipe:
        # Cached until a field changes: building it costs as much as the rest of a short call.
        private = self.__pydantic_private__
        resolved: Resolved = self._resolved if private is None else private["_resolved"]
        return resolved.get(self.__dict__, self._made_recipe)

    def _own_clients(self) -> Clients:
        # pydantic's access to a private attribute costs more than all else here.
        private = self.__pydantic_private__
        clients: Clients = self._clients if private is None else private["_clients"]
        return clients

    def _made_recipe(self) -> Recipe:
        settings = ClientSettings(
            self._made_settings(),
            ClientKwargs(self.client_kwargs, self.sync_client_kwargs, self.async_client_kwargs),
            tuple(meter for meter in (self.ledger, self.budget) if meter is not None),
            **{name: getattr(self, name) for name in OF_CONDUCT},
        )
        return Recipe(settings, self.max_concurrency, self.requests_per_minute)

    def close(self) -> None:
        """Close the connections that no other model uses; the next call opens new ones."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections that no other model uses; the next call opens new ones."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[Any, Any]:
        state: dict[Any, Any] = dict(super().__getstate__())
        fields = state["__dict__"]
        # Some fields may be missing: llama-index drops those that cannot be pickled.
        kwargs = {name: fields[name] for name in _KWARGS if name in fields}
        public = {name: public_kwargs(given) for name, given in kwargs.items()}
        # The mark turns a bare 401 in another process into an error that names the cause.
        lost = bool(self.api_key or self.credentials or self.secret_headers or self.secrets_lost)
        state["__dict__"] = fields | {
            "api_key": None,
            "credentials": None,
            "secret_headers": {},
            "secrets_lost": lost or any(len(public[name]) < len(kwargs[name]) for name in kwargs),
            **public,
        }
        return state
