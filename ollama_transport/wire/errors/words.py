"""What servers say about a request, a model or themselves, and what to do about it: one table.

Each row is a pattern, its advice, and who is at fault: the caller, whose request is refused as it
is, whatever the status, or no one in particular. The first row that matches counts. Every gap
is bounded, so that a hostile text takes linear time.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

MEMORY_HINT = "The model may need more memory: try a smaller one or a smaller num_ctx."
OPENAI_MEMORY_HINT = (
    "The model may need more memory: try a smaller one, or start the server with a shorter context."
)
_UNREADABLE_HINT = (
    "JSON was cut or changed on its way: look at the proxies between here and the server, and at "
    "the server's log."
)
_TOOL_CALL_HINT = (
    "The model wrote a tool call that is not JSON: ask again, or choose another model."
)
_RESULTS_HINT = (
    "Each tool call of the history needs its result, and each result its call: add a tool message "
    "for each call, or leave the calls out."
)
_TOOL_CALL_ID_HINT = (
    "The model's template takes tool call ids of nine letters and digits: give the calls of the "
    "history, and their results, such ids."
)
_SYSTEM_HINT = (
    "The model's template takes one system message, at the start: `merge_system=True` sends all of "
    "them as that one."
)
_ORDER_HINT = (
    "The model's template needs user and assistant messages to alternate, in this order: merge "
    "consecutive messages of one role."
)
_LAST_HINT = (
    "The chat must hold a user message, and end with one or with a tool's result: leave out the "
    "assistant's message at its end."
)
_SCHEMA_HINT = (
    "The server cannot hold an answer to this schema: leave out what it names (patterns, formats, "
    "references), or choose another server for it."
)
_BATCH_HINT = (
    "Fewer texts fit into one request: set `batch_size` (LlamaIndex: `embed_batch_size`) to that "
    "maximum."
)
LM_STUDIO_HINT = "That is LM Studio: its OpenAI-compatible wire needs a base_url that ends in /v1."
_PROVIDER_HINT = (
    "The gateway finds no provider that its settings and this request allow: change them there "
    "(privacy, allowed providers), leave out options, or choose another model."
)

TOOL_CALL_ID_WORDS = (
    r"(?i)\b(?:tool|function)[ _]call[ _]ids? [^\n]{0,200}(?:length|alphanumeric)|"
    r"\btool_calls?\b[^\n]{0,40}\bid\b[^\n]{0,60}(?:too long|pattern)|\btool_use\.id\b|"
    r"\btool_call_id\b[^\n]{0,60}(?:too long|pattern)"
)
"""How Mistral's templates, their tokenizers, OpenAI and Bedrock refuse the id of a tool call."""

LATE_SYSTEM_WORDS = r"(?i:system message must be at the beginning|unexpected role ['\"`]system)"
"""How templates refuse a system message after other messages."""

NO_SYSTEM_WORDS = (
    r"(?i:system role (?:is )?not supported|only user(?:,| and) assistant[^.\n]{0,20} roles are|"
    r"invalid message role: system)"
)
"""How templates refuse system messages."""

ROW_WORDS = r"(?i:roles must alternate|alternating user|unexpected role ['\"`](?!system))"
"""How templates refuse two messages of one role that follow each other."""

BOTH_WORDS = r"both content and thinking"
"""How the template of gpt-oss refuses the thoughts of earlier answers."""

BATCH_WORDS = (
    # Text Embeddings Inference, and SiliconFlow (page-assist #371, 2025-02-26); DashScope
    # (memobase #142, 2025-11-12); Azure; Mistral (edgequake-llm #74, 2026-05-05); Voyage (aichat
    # #825, 2024-09-03); Cohere; Google (vercel/ai #16575, 2026-07-02); OpenAI; FastAPI
    r"(?i)batch size \d{1,9} > maximum|batch size (?:is invalid|limit)|\btoo many inputs\b|"
    r"too many tokens in batch|tokens per submitted batch|number of texts must be at most|"
    r"requests can be in one batch|\binput\b[^\n]{0,40}(?:array too long|list should have at most)"
)
"""How servers say that a request for embeddings holds too many texts."""


class Known(NamedTuple):
    """A row of the table."""

    words: str
    hint: str
    is_callers: bool = False


_ROWS = (
    # Ollama
    Known(
        r"pull model manifest: file does not exist",
        "The registry has no model of that name or tag: check both in its library "
        "(ollama.com/library).",
    ),
    Known(r"pull model manifest: 412", "This model needs a newer Ollama: update the server."),
    # ollama #8065, 2024-12-12; #3434, 2024-04-01; #4992, 2024-06-12
    Known(
        r"(?:pull model manifest|download failed): (?:Get|Head) |max retries exceeded: |"
        r"lookup registry\.|\.r2\.cloudflarestorage\.com",
        "The server cannot reach its registry: check its network and DNS; behind a proxy, set "
        "HTTPS_PROXY on the server.",
    ),
    # ollama #5369, 2024-06-29; #18486, 2026-09-16
    Known(
        r"unknown model architecture",
        "This version of the server cannot run the model: update the server, or choose another "
        "model.",
    ),
    # ollama #11320, 2025-07-07; #11410, 2025-07-14; #7388, 2024-10-27
    Known(
        r"image: unknown format|invalid image (?:input|type)",
        "The server cannot read this image: send a PNG or a JPEG.",
    ),
    Known(
        r"timed out waiting for llama runner",
        "The model took longer to load than the server waits: raise OLLAMA_LOAD_TIMEOUT there, or "
        "choose a smaller model.",
    ),
    Known(
        r"think value|\breasoning_effort\b",
        "This model takes a reasoning level: set `think` (LangChain: `reasoning`, LlamaIndex: "
        '`thinking`) to "low", "medium" or "high", or leave it unset.',
    ),
    Known(
        r"invalid model name\b(?! passed)",
        "A name is MODEL[:TAG], of ASCII letters, digits, '_', '-' and '.'.",
    ),
    Known(
        r"\bremote model",
        "Add its host to OLLAMA_REMOTES on the server, or choose a local model.",
    ),
    Known(r"invalid input type", "`input` must be a list of texts, without numbers or None."),
    Known(
        r"illegal base64",
        "Images are sent as plain base64 (standard alphabet, padded, no data: prefix).",
    ),
    Known(
        r"\btime: (?:invalid duration|unknown unit|missing unit)",
        'Give `keep_alive` in seconds, as a text with its unit ("5m"), or -1 for ever.',
    ),
    Known(r'^option "|^invalid format: |^template: |^this model only supports one image', "", True),
    # What the model wrote. Groq's words are "failed_generation" for calls and for JSON.
    Known(
        r"(?i)failed to generate (?:valid )?json",
        "The model wrote no valid JSON: ask again, with a larger num_predict (max_tokens), or "
        "choose another model.",
    ),
    Known(
        r"(?i)invalid tool call arguments|failed to parse (?:JSON|input at pos|tool call)|"
        r"error parsing tool call|xml syntax error on line|failed to call a function|"
        r"validation errors? for list\[function",
        _TOOL_CALL_HINT,
    ),
    # Order of messages: templates of Qwen, Gemma, Mistral and Llama, llama.cpp, Anthropic
    Known(LATE_SYSTEM_WORDS, _SYSTEM_HINT, True),
    Known(
        NO_SYSTEM_WORDS,
        "The model's template takes no system message: put its text into the first user message.",
        True,
    ),
    Known(ROW_WORDS, _ORDER_HINT, True),
    Known(
        r"(?i)expected last role|must end with a user message|assistant message prefill|"
        r"2 or more assistant messages at the end|assistant response prefill|no user query found",
        _LAST_HINT,
        True,
    ),
    Known(
        r"must be followed by tool messages|ot the same number of function calls and responses|"
        r"must be a response to a prece|number of function response parts|"
        r"ids were found without `tool_result`|unexpected `tool_use_id`|"
        r"no previous assistant message with a tool call",
        _RESULTS_HINT,
        True,
    ),
    Known(
        r"(?i)only supports single tool-?calls",
        "The model's template takes one call in a message: ask for one at a time (LangChain: "
        "`bind_tools(…, parallel_tool_calls=False)`, LlamaIndex: "
        "`allow_parallel_tool_calls=False`).",
        True,
    ),
    Known(TOOL_CALL_ID_WORDS, _TOOL_CALL_ID_HINT, True),
    # Flags of the server
    Known(
        r"requires --enable-auto-tool-choice",
        "Start vLLM with --enable-auto-tool-choice, and with the --tool-call-parser of the model.",
    ),
    # Models made of one file share an engine while it is loaded, with the flags of the first (14).
    Known(
        r"requires --jinja",
        "Start llama-server with --jinja. On Ollama, another model with the same weights is "
        "loaded: unload it, and try again.",
    ),
    Known(
        BOTH_WORDS,
        "The model's template takes no thoughts beside text in a message with calls: "
        '`reasoning_history="never"` leaves the thoughts of earlier answers out.',
        True,
    ),
    Known(
        r"(?i)default chat template|template error: template not found|chat_template is not set",
        "This model has no chat template: choose one that was trained for chats, or complete a "
        "prompt instead (LangChain: `OllamaLLM`).",
        True,
    ),
    # LM Studio, llama.cpp (its #19905, 2026-02-25; jan #6123, 2025-08-11), Python's jinja2
    Known(
        r"(?i)jinja|while executing \w{1,40} at line|value is not callable|"
        r"unknown (?:method|\(built-in\) filter)|chat template",
        "The model's chat template cannot write this history: take a newer file of the model or "
        "another template there, or leave out what the template names.",
        True,
    ),
    Known(
        r"(?i)parse grammar|grammar[ -](?:compile )?error|compil[^\n]{1,40}\bgrammar|"
        r"schema conversion failed|unrecognized schema|xgrammar|invalid schema for|"
        r"features not supported by",
        _SCHEMA_HINT,
    ),
    Known(
        r"response_format|\bjson_schema\b",
        "This server or model takes no such answer format: let it call a tool instead (LangChain: "
        'method="function_calling", ToolStrategy; LlamaIndex: PydanticProgramMode.FUNCTION), or '
        "leave the format out.",
    ),
    # The engine that Ollama asks has ended (#8258, 2024-12-27; #3904, 2024-04-25).
    Known(
        r"error was encountered while running the model|\bPOST predict: |do load request: |"
        r"llama runner process no longer running|llm server not responding|"
        r"error reading llm response",
        MEMORY_HINT,
    ),
    # Go's own words for a request that it cannot read, and for an answer that it cannot write.
    Known(
        r"json: cannot unmarshal|json: unknown field",
        "A field of the request has a type or name that this server does not take: look at the "
        "field named there, in `extra_body` and in the extra keys of messages first.",
    ),
    Known(
        r"json: unsupported value",
        "The model computed a number that JSON does not have (NaN or infinity): try another text, "
        "or another quantisation of the model.",
    ),
    Known(
        r"looking for beginning of|unexpected EOF|unexpected end of JSON input|^EOF$|"
        r"invalid character [^\n]{1,20} (?:in string|after)|missing request body",
        _UNREADABLE_HINT,
    ),
    Known(
        r"(?i)apiconnectionerror|\bconnection error\.?$|connection refused|econnrefused|"
        r"upstream prematurely|no such host",
        "The gateway could not reach the server behind it: look at its log, and at the address of "
        "the server there.",
    ),
    # Others
    Known(
        r"[Uu]nexpected endpoint",
        LM_STUDIO_HINT,
    ),
    Known(BATCH_WORDS, _BATCH_HINT),
    Known(
        r"(?i)no endpoints found|no allowed providers|data policy|by any provider", _PROVIDER_HINT
    ),
    Known(
        r"(?i)tokens per minute[^\n]{0,120}reduce",
        "One request may use only that many tokens: shorten the prompt, or ask for a shorter "
        "answer with num_predict (max_tokens).",
    ),
    # llama.cpp, PyTorch, Metal, LM Studio
    Known(
        r"(?i)requires more system memory|out[ -]of[ -]?memory|insufficient (?:system )?"
        r"(?:memory|resources)|(?:unable|failed) to allocate|cannot be allocated|model has crashed|"
        r"(?:process|runner) (?:has |was )?(?:been )?terminated|unexpectedly stopped",
        MEMORY_HINT,
    ),
    # Of 2026 (ollama #15934, 2026-05-02)
    Known(
        r"\(ref: [0-9a-f-]{8,40}\)",
        "Ollama's cloud failed: ask again later, or choose another model. The reference is for its "
        "support.",
    ),
)
_TABLE = tuple((re.compile(row.words), row) for row in _ROWS)


def known(text: str) -> Known | None:
    """Return the row that a server's text matches; None for a text that is not in the table."""
    return next((row for words, row in _TABLE if words.search(text)), None)


_BATCH = re.compile(BATCH_WORDS)


def is_batch_limit(text: str) -> bool:
    """Return whether a server refused the number of texts of a request, and not a text."""
    return _BATCH.search(text) is not None


_REFUSED_FIELD = re.compile(
    r"(?i)extra (?:inputs?|fields?)|unrecognized|unknown (?:field|parameter|name|argument)|"
    r"unsupported|not (?:be )?(?:supported|permitted|allowed|implemented|exist)|does not support|"
    r"unexpected keyword|additional propert"
)
_OPTIONS = {"max_tokens": "num_predict", "repetition_penalty": "repeat_penalty"}
# What they are refused for has advice of its own, or is no matter of an option.
_NO_OPTIONS = frozenset(
    {"model", "messages", "input", "prompt", "tools", "stream", "stop", "response_format"}
)


def field_hint(text: str, sent: Collection[str]) -> str:
    """Return what to do about a field of the request that a server does not take; "" for none."""
    if _REFUSED_FIELD.search(text) is None:
        return ""
    words = frozenset(re.findall(r"\w{1,60}", text))
    found = [name for name in sent if name in words and name not in _NO_OPTIONS]
    if not found:
        return ""
    name = max(found, key=len)
    return f"This server does not take `{_OPTIONS.get(name, name)}`: leave it out."
