"""What is left of the cost where a goal is not reached, from profiles of the rows.

Thousands of instructions a unit, by callgrind around single calls of the parts. Who reaches a goal
takes its entry out.
"""

LEFT: dict[str, str] = {
    "lc-stream-waking": "the figure grows with the speed of the machine: 100 and 110 where "
    "valgrind is so slow that lines meet, 124 and 138 to 145 where each line wakes its reader; "
    "httpx alone takes 135 to 145 and 165 to 173. A token takes 72 and 75 where lines come "
    "together (first row); the rest is a wait for the socket, a read, and the turns of the loop "
    "between.",
    "streams-at-once": "httpx alone costs more than ours here, and two thirds of the peer: a read "
    "brings a line or two of one stream, so that tasks, wake-ups and system calls are most of it. "
    "The ratio of a run was 0.34 to 0.51, with the speed of the machine.",
    "lc-embed": "what cannot be beaten, httpx and orjson alone, costs half of the peer already. "
    "Ollama's wire has vectors as decimal numbers only, of which orjson makes lists in "
    "280 (as arrays they cost half, see the row below); that each is a float and finite takes 100, "
    "50 where numpy is in use, and the peer does not check; the rest is httpx's and the lists'. "
    "Four threads share the interpreter's lock: one alone takes a fifth less time.",
    "embed-arrays": "on Ollama's wire reading decimal numbers takes most of it (simdjson 150 k "
    "instructions, exact to the last bit); in each case four threads share the interpreter's lock.",
    "structured": "a time, which was 10 to 59 and 20 to 73 µs in the runs of this machine. By "
    "instructions it is a twentieth of the peer's, and no more for a longer answer.",
    "construct": "ChatOllama: pydantic's constructor and its hooks for private attributes take two "
    "thirds, langchain-core's versions for traces and our profile the rest (core's check of the "
    "profile, 400, is left out). Ollama: as much as OllamaEmbedding to construct; its settings are "
    "checked and the client made, which the row looks at.",
    "import": "LangChain's was 1.18 to 1.27 in the runs of this machine, LlamaIndex's 1.06 to "
    "1.12. Of the 86 ms that ours adds to 485 of LangChain's by `-X importtime`, 56 dataclasses "
    "take 27, 40 pydantic classes 25, 90 patterns 8, and reading the modules the rest. All of it "
    "is used by the first call. A time, and noisy.",
}
