"""The keyword arguments of `Ollama` and `OllamaEmbedding`, typed for editors and type checkers.

Each key is a field of the class and is described there; a test keeps the two equal.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.prompts.base import BasePromptTemplate
from llama_index.core.types import BaseOutputParser, PydanticProgramMode
from pydantic import SecretStr

from ollama_transport import Budget, OverflowPolicy, Timeouts, UnsupportedOptions, UsageLedger
from ollama_transport.settings import Api
from ollama_transport.wire import OnPull, OnToken


class ModelOptions(TypedDict, total=False):
    """The options of a model (wire reference 6), and how its server is reached."""

    num_ctx: int | None
    num_predict: int | None
    seed: int | None
    stop: list[str] | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    repeat_last_n: int | None
    repeat_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    num_keep: int | None
    num_batch: int | None
    num_gpu: int | None
    main_gpu: int | None
    use_mmap: bool | None
    num_thread: int | None
    draft_num_predict: int | None

    api: Api
    api_key: str | SecretStr | None
    timeout: Timeouts | float | tuple[float | None, ...] | None
    max_retries: int
    retry_max_wait_s: float
    loading_max_wait_s: float
    wire_streaming: bool | None
    allow_insecure_auth: bool
    max_answer_bytes: int
    sync_client_kwargs: Mapping[str, Any] | None
    async_client_kwargs: Mapping[str, Any] | None
    ledger: UsageLedger | None
    budget: Budget | None
    requests_per_minute: int | None
    max_concurrency: int | None
    pull_missing: bool
    on_pull: OnPull | None
    on_token: OnToken | None
    count_tokens: bool
    unsupported_options: UnsupportedOptions
    extra_body: dict[str, Any] | None
    reasoning_history: Literal["auto", "never", "always"]
    telemetry: bool | None

    truncate: bool | None
    rate_limiter: Any
    # LlamaIndex writes it into every dump and passes it back; it is ignored.
    class_name: str


class LLMOptions(ModelOptions, total=False):
    """The arguments of `Ollama` beside those in its signature."""

    client_kwargs: Mapping[str, Any] | None
    callback_manager: CallbackManager | None
    on_context_overflow: OverflowPolicy | None
    shift: bool | None
    logprobs: bool | None
    top_logprobs: int | None
    fetch_image_urls: bool
    fetch_max_bytes: int
    fetch_timeout_s: float
    schema_in_prompt: bool
    merge_system: bool
    salvage_tool_calls: bool
    split_thinking: Literal["tags", False] | tuple[str, str] | None
    system_prompt: str | None
    messages_to_prompt: Callable[[Sequence[Any]], str] | None
    completion_to_prompt: Callable[[str], str] | None
    output_parser: BaseOutputParser | None
    pydantic_program_mode: PydanticProgramMode
    query_wrapper_prompt: BasePromptTemplate | None


class EmbeddingOptions(ModelOptions, total=False):
    """The arguments of `OllamaEmbedding` beside those in its signature."""

    temperature: float | None
    headers: dict[str, str] | None
    on_context_overflow: OverflowPolicy
    num_workers: int | None
    embeddings_cache: Any
    dimensions: int | None
    query_prefix: str | None
    document_prefix: str | None
    prefixes: Literal["auto"] | None


def undumped(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments without ``class_name``, which LlamaIndex dumps with them."""
    return {name: value for name, value in given.items() if name != "class_name"}
