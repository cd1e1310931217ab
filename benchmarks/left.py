"""What is left of the cost where a goal is not reached, from profiles of the rows.

Thousands of instructions a unit, by callgrind around single calls of the parts. Who reaches a goal
takes its entry out.
"""

LEFT: dict[str, str] = {
    "lc-call": "awaited: langchain-core takes 1,035, and asyncio's write, wake-up and timers what "
    "is more than in the blocking call.",
    "history": "missed by less than the spread of two runs.",
    "calls-at-once": "each call finds a kept connection where the rounds follow within 30 seconds "
    "(2,693 and 2,242, which reaches the goal); under valgrind on a busy machine they do not, and "
    "opening 64 connections takes 1,800 a call.",
    "lc-embed": "Ollama's wire has vectors as decimal numbers only, of which orjson makes lists in "
    "280 (as arrays they cost half, see the row below); that each is a float and finite takes 100, "
    "50 where numpy is in use, and the peer does not check; the rest is httpx's and the lists'.",
    "li-embed": "by instructions it is; a time, taken on a machine with other work.",
    "embed-arrays": "on Ollama's wire reading decimal numbers takes most of it (simdjson 150 k "
    "instructions, exact to the last bit); in each case four threads share the interpreter's lock.",
    "tools": "looking each of 20 schemas up by its content takes 1,370 (who changes one in place "
    "is not sent the old one), the call and langchain-core the rest.",
    "construct": "ChatOllama: pydantic's constructor and its hooks for private attributes take two "
    "thirds, langchain-core's versions for traces and our profile the rest (core's check of the "
    "profile, 400, is left out). Ollama: as much as OllamaEmbedding to construct; its settings are "
    "checked and the client made, which the row looks at.",
    "import": "the adapters' fields are pydantic classes, built when they are imported; a time, "
    "and noisy.",
    "first-token": "a time of a few hundred microseconds beside that of the server's pause: noisy "
    "on a machine with other work. By instructions ours adds less than nothing to bare httpx.",
}
