"""Rows in which ours may be slower than the peer today, each with its reason.

The aim is an empty table: who makes a row faster takes its line out.
"""

NOT_YET: dict[str, str] = {
    "li-call": "settings, host and retry machinery are made anew at each call",
    "li-long": "a whole answer of LlamaIndex goes through the same costly call",
    "first-token": "a stream opens through the same costly call; a wall time, and noisy",
    "lc-embed": "vectors are parsed by the standard library and checked in several passes",
    "li-embed": "vectors are parsed by the standard library and checked in several passes",
    "embed-arrays": "vectors are lists; arrays are not offered",
    "construct": "LlamaIndex's class makes nothing before its first call; ours checks its fields",
    "history": "LlamaIndex walks the blocks of each message several times",
    "import": "the adapters' own modules are imported at once",
}
