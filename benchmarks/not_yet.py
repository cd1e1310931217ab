"""Rows in which ours may be slower than the peer today, each with its reason.

The aim is an empty table: who makes a row faster takes its line out.
"""

NOT_YET: dict[str, str] = {
    "li-call": "a call streams underneath: each line of a short answer is read by itself",
    "li-long": "a whole answer of LlamaIndex goes through the same costly call",
    "first-token": "a stream opens through the same costly call; a wall time, and noisy",
    "li-embed": "in small batches the cost of a call outweighs that of the vectors",
    "embed-arrays": "vectors are lists; arrays are not offered",
    "construct": "LlamaIndex's class makes nothing before its first call; ours checks its fields",
    "history": "LlamaIndex walks the blocks of each message several times",
    "li-agent": "a step is a short call of LlamaIndex, and about as dear as the peer's",
    "import": "the adapters' own modules are imported at once",
}
