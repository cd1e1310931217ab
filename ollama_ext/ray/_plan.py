"""The plan of a bulk run: the options of both functions, checked, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from ollama_transport import Client, ConfigError, RetryPolicy

if TYPE_CHECKING:
    from ollama_ext.ray._ledger import SharedLedger

BULK_RETRY = RetryPolicy(max_retries=8, max_wait_s=120.0)
"""More patient than the default of a client: a server may start again meanwhile."""

OWN = ("host", "base_url", "retry", "max_retries", "transport", "settings", "http_client")
"""Arguments of a client that a plan sets itself, or that cannot go to another machine."""


class BulkOptions(TypedDict, total=False):
    """How the rows of a dataset are sent; keywords of `embed_dataset` and `chat_dataset` alike.

    ```python
    import ray

    from ollama_ext.ray import BulkOptions, chat_dataset, embed_dataset

    how: BulkOptions = {"hosts": ["http://gpu1:11434", "http://gpu2:11434"], "per_server": 8}
    rows = ray.data.from_items([{"text": "a cat"}])
    embedded = embed_dataset(rows, model="nomic-embed-text", **how)
    print(chat_dataset(embedded, model="llama3.2", column="text", **how).take_all()[0]["answer"])
    ```

    Attributes:
        hosts: The servers, each in any form of OLLAMA_HOST; all must have the model. None, the
            default, is what OLLAMA_HOST says on the node of each worker.
        per_server: Requests that one server answers at a time, over all workers together. Default
            4; on Ollama's own wire OLLAMA_NUM_PARALLEL is the number for chats.
        workers: Actors of Ray, each a process with a client of its own. Default: one per server.
        num_cpus: Share of a CPU that Ray reserves for a worker. Default 0.25: it mostly waits.
        batch_size: Rows that a worker takes at once. Default: enough for its share of the servers'
            slots twice over. With ``output`` as many rows are written at once, and asked again at
            most when a run breaks off.
        key: Column that identifies a row, unique in the dataset. Needed with ``output``.
        output: Folder for the answers, as Parquet; a path that all nodes see, or an address that
            pyarrow opens, such as ``s3://bucket/folder``.
        error_column: Column for what went wrong with a row, null where nothing did. Default
            "error".
        retry: How often and how long a request is repeated, each time at the server with the most
            free slots. Default `BULK_RETRY`.
        client: Further arguments of `ollama_transport.Client`. They travel to the workers as they
            are, an ``api_key`` as well; OLLAMA_API_KEY in the workers' environment does not.
        ledger: Adds up what all workers use; see `SharedLedger`.
    """

    hosts: Sequence[str] | None
    per_server: int
    workers: int | None
    num_cpus: float
    batch_size: int | None
    key: str | None
    output: str | None
    error_column: str
    retry: RetryPolicy
    client: Mapping[str, Any] | None
    ledger: "SharedLedger | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the workers do: checked on the driver, before anything runs.

    ``column`` is read and ``into`` is written; ``request`` holds the further keywords of a request
    to ``model``; ``rows_per_request`` is 1 for chats. The other fields are those of `BulkOptions`.

    Raises:
        ConfigError: for options that cannot work.
    """

    model: str
    column: str
    into: str
    request: Mapping[str, Any]
    rows_per_request: int = 1
    hosts: Sequence[str | None] | None = None
    per_server: int = 4
    workers: int | None = None
    num_cpus: float = 0.25
    batch_size: int | None = None
    key: str | None = None
    output: str | None = None
    error_column: str = "error"
    retry: RetryPolicy = BULK_RETRY
    client: Mapping[str, Any] | None = field(default=None, repr=False)
    ledger: "SharedLedger | None" = None

    def __post_init__(self) -> None:
        if isinstance(self.hosts, str) or (self.hosts is not None and not self.hosts):
            raise ConfigError("hosts must be a list of servers: give one or more, or None.")
        for name in ("per_server", "workers", "batch_size", "rows_per_request"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: give 1 or more.")
        if (self.key is None) != (self.output is None):
            raise ConfigError("give key and output together: a row that is written has to be found")
        if len({self.column, self.into, self.error_column, self.key}) < 4:
            raise ConfigError("column, into, error_column and key must be four different columns.")
        if taken := [name for name in OWN if name in self.arguments]:
            raise ConfigError(f"client has {taken[0]!r}: give hosts and retry beside client.")
        # Creating clients does no I/O, and refuses what the workers' would refuse.
        for host in self.servers:
            self.client_of(host)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Return the further arguments of the clients; {} for none."""
        return {} if self.client is None else self.client

    @property
    def servers(self) -> Sequence[str | None]:
        """Return the servers, each once; None is the one of the environment."""
        return (None,) if self.hosts is None else tuple(dict.fromkeys(self.hosts))

    @property
    def actors(self) -> int:
        """Return the number of workers."""
        return len(self.servers) if self.workers is None else self.workers

    @property
    def threads(self) -> int:
        """Return the requests that one worker has under way: its share of all slots."""
        return -(-self.per_server * len(self.servers) // self.actors)

    @property
    def rows_at_once(self) -> int:
        """Return the rows that a worker takes at once."""
        twice = 2 * self.threads * self.rows_per_request
        return twice if self.batch_size is None else self.batch_size

    def client_of(self, host: str | None, *meters: Any) -> Client:
        """Return a client of one server, which tries once: a repetition may go elsewhere."""
        given = dict(self.arguments)
        observers = (*given.pop("meters", ()), *meters)
        return Client(host, max_retries=0, meters=observers, **given)
