"""What a caller may set: the server's address, options, values, prefixes and retry policy."""

from ollama_transport.settings.client_settings import Api
from ollama_transport.settings.host import Endpoint, TimeoutLike, Timeouts, parse_host
from ollama_transport.settings.options import (
    OBSOLETE_OPTIONS,
    OPTION_NAMES,
    SamplingOptions,
    Think,
    check_options,
    set_options,
    unknown_name,
    warn_obsolete,
    without_obsolete,
)
from ollama_transport.settings.prefixes import resolve_prefixes
from ollama_transport.settings.retry import RetryPolicy
from ollama_transport.settings.values import (
    KeepAlive,
    SplitThinking,
    check_format,
    check_split_thinking,
    check_think,
    check_top_logprobs,
    keep_alive,
)

__all__ = [
    "OBSOLETE_OPTIONS",
    "OPTION_NAMES",
    "Api",
    "Endpoint",
    "KeepAlive",
    "RetryPolicy",
    "SamplingOptions",
    "SplitThinking",
    "Think",
    "TimeoutLike",
    "Timeouts",
    "check_format",
    "check_options",
    "check_split_thinking",
    "check_think",
    "check_top_logprobs",
    "keep_alive",
    "parse_host",
    "resolve_prefixes",
    "set_options",
    "unknown_name",
    "warn_obsolete",
    "without_obsolete",
]
