"""`embed_dataset` and `chat_dataset`: rows in, rows with answers out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import ray
import ray.data

from ollama_ext.ray._folder import ANSWERED, FAILED, Folder, absolute, without
from ollama_ext.ray._plan import BulkOptions, Plan
from ollama_ext.ray._slots import Slots
from ollama_ext.ray._workers import Chat, Embed, Worker
from ollama_transport import ConfigError
from ollama_transport.client.keyword_requests import (
    ChatKeywords,
    EmbedKeywords,
    chat_request,
    embed_request,
)

if TYPE_CHECKING:
    from ray.data import Dataset


def embed_dataset(
    ds: "Dataset",
    *,
    model: str,
    column: str = "text",
    into: str = "embedding",
    texts_per_request: int = 32,
    request: EmbedKeywords | None = None,
    **how: Unpack[BulkOptions],
) -> "Dataset":
    """Embed a column of texts; return the dataset with two more columns, for vectors and errors.

    ```python
    import ray

    from ollama_ext.ray import embed_dataset

    rows = [{"id": number, "text": f"passage {number}"} for number in range(100)]
    vectors = embed_dataset(
        ray.data.from_items(rows),
        model="nomic-embed-text",
        hosts=["http://gpu1:11434", "http://gpu2:11434"],
        key="id",
        output="vectors",
    )
    print(vectors.count(), "rows")
    ```

    A request that fails is repeated, at another server where there are several. What still fails
    marks its rows: a null in ``into``, and the error in the error column. Where a server refuses a
    batch because of one text, only that text is marked. No row is lost.

    With ``output`` and ``key`` the work is done at once. Rows are written to that folder batch by
    batch, and rows that have an answer there are not asked again, while failed ones are. The
    dataset that is returned then is what stands in the folder. Without, the work is done when the
    dataset is read, as always in Ray. Ray's own progress bar shows it.

    Args:
        ds: Rows of any columns; they are kept.
        model: Name of the embedding model.
        column: Column of texts; a null is marked, and not sent.
        into: Column for the vectors: lists of 32-bit floats.
        texts_per_request: Texts in one request.
        request: Further keywords of `Client.embed`: ``dimensions``, ``keep_alive``, ``options``, …
        **how: See `BulkOptions`.

    Raises:
        ConfigError: for options that cannot work; before anything is sent.
    """
    given: dict[str, Any] = {} if request is None else dict(request)
    # Built and dropped: a wrong keyword is an error here, not in each worker.
    embed_request(model, ["checked early"], given)
    return _run(
        ds,
        Embed,
        Plan(
            model=model,
            column=column,
            into=into,
            request=given,
            rows_per_request=texts_per_request,
            **how,
        ),
    )


def chat_dataset(
    ds: "Dataset",
    *,
    model: str,
    column: str = "prompt",
    into: str = "answer",
    request: ChatKeywords | None = None,
    **how: Unpack[BulkOptions],
) -> "Dataset":
    """Answer each row by a chat; return the dataset with two more columns: answers and errors.

    ```python
    import ray

    from ollama_ext.ray import chat_dataset

    reviews = ray.data.from_items([{"review": "Good or bad? It broke at once."}])
    hosts = ["http://gpu1:11434", "http://gpu2:11434"]
    judged = chat_dataset(reviews, model="llama3.2", hosts=hosts, column="review", into="verdict")
    print(judged.take_all()[0]["verdict"])
    ```

    Repetitions, errors, ``output`` and ``key`` are as in `embed_dataset`; an answer that breaks off
    in the middle is asked for again as well. The answer is the text of the model, without its
    reasoning. For tools use a model of a framework inside ``map_batches``.

    Args:
        ds: Rows of any columns; they are kept.
        model: Name of the model.
        column: Column of texts, each a user's message, or of lists of messages with ``role`` and
            ``content``; a null is marked, and not sent.
        into: Column for the answers.
        request: Further keywords of `Client.chat`: ``format``, ``options``, ``think``, …
        **how: See `BulkOptions`.

    Raises:
        ConfigError: for options that cannot work; before anything is sent.
    """
    given: dict[str, Any] = {} if request is None else dict(request)
    if given.get("tools"):
        raise ConfigError("chat_dataset runs no tools: use a framework's model in map_batches.")
    chat_request(model, [{"role": "user", "content": "checked early"}], given, {})
    return _run(ds, Chat, Plan(model=model, column=column, into=into, request=given, **how))


def _run(ds: "Dataset", worker: type[Worker], plan: Plan) -> "Dataset":
    if plan.output is None or plan.key is None:
        return _mapped(ds, worker, plan)
    # Workers have a working directory of their own.
    folder = Folder(absolute(plan.output), plan.key)
    folder.forget_failures()
    _mapped(_unwritten(ds, folder), worker, replace(plan, output=folder.place)).materialize()
    files = folder.files(ANSWERED, FAILED)
    return ray.data.read_parquet(files, filesystem=folder.system) if files else ds.limit(0)


def _mapped(ds: "Dataset", worker: type[Worker], plan: Plan) -> "Dataset":
    # It lives as long as the dataset does, which has its handle.
    slots = ray.remote(num_cpus=0)(Slots).remote(plan.servers, plan.per_server)
    return ds.map_batches(
        worker,
        batch_size=plan.rows_at_once,
        batch_format="pyarrow",
        # Not `size`: Ray would warn of a dataset that has fewer blocks than there are workers.
        compute=ray.data.ActorPoolStrategy(
            min_size=1,
            initial_size=plan.actors,
            max_size=plan.actors,
            max_tasks_in_flight_per_actor=2,
        ),
        fn_constructor_args=(plan, slots),
        num_cpus=plan.num_cpus,
    )


def _unwritten(ds: "Dataset", folder: Folder) -> "Dataset":
    """Return the rows that have no answer in the folder."""
    keys = folder.keys()
    if keys is None:
        return ds
    more: Mapping[str, Any] = {"key": folder.key, "known": ray.put(keys)}
    return ds.map_batches(_new, batch_size=None, batch_format="pyarrow", fn_kwargs=dict(more))


def _new(table: Any, key: str, known: Any) -> Any:
    # A reference among keywords comes as it is.
    return without(table, key, ray.get(known))
