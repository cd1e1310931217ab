"""The suites of LlamaIndex's two packages for Ollama.

Their source distributions have no tests; the tests are in the repository run-llama/llama_index:

    llms=CHECKOUT/llama-index-integrations/llms
    scripts/peer-suites llama-index-llms-ollama=$llms/llama-index-llms-ollama
"""

from peer_suites.suite import Suite

ARGUMENTS = ["-o", "asyncio_mode=auto"]
THINK = "`think=False` or `thinking=False` in a call after `thinking=True`"

LLM = Suite(
    requirement="llama-index-llms-ollama==0.11.0",
    tests=["tests"],
    plugin="as_llamaindex",
    arguments=ARGUMENTS,
    published=False,
    differs={
        "test_chat_with_think": THINK,
        "test_async_chat_with_think": THINK,
        "test_get_additional_kwargs": "`force_single_tool_call`, `get_additional_kwargs`",
    },
)
EMBEDDING = Suite(
    requirement="llama-index-embeddings-ollama==0.10.0",
    tests=["tests"],
    plugin="as_llamaindex",
    arguments=ARGUMENTS,
    published=False,
    differs={},
)
