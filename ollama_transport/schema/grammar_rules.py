r"""How the engine's grammar treats each JSON schema keyword.

Sources: 45 schemas that a real Ollama answered (0.33, engine llama.cpp b10434, see
``tests/recordings/grammars``); the rest was tested with the converter of llama.cpp b10229
(``tests/engine/test_grammars.py`` repeats it on the installed engine).

| keyword | the grammar |
|---|---|
| ``enum``, ``const``, ``properties``, ``required``, ``additionalProperties`` | holds |
| ``anyOf``, ``oneOf``, ``$ref``, ``type`` as a list, ``prefixItems`` | holds |
| ``minItems``, ``maxItems`` with ``items``, up to MAX_ITEMS | holds; refuses more |
| ``minLength``, ``maxLength`` up to MAX_LENGTH, without pattern or format | holds; refuses more |
| ``minimum``, ``maximum`` of an integer, up to MAX_INTEGER | holds; never ends beyond |
| ``format`` of HELD_FORMATS | holds |
| ``pattern`` of literals, classes, groups, choices and counts, from ``^`` to ``$`` | holds |
| ``pattern`` with ``\d``, ``\w``, ``\s``, ``\p{…}``, or not from ``^`` to ``$`` | refuses |
| true or false as a schema; a ``type`` that JSON Schema lacks; a ``$ref`` to nowhere | refuses |
| ``allOf`` | holds properties and enums, and drops the rest of each |
| what stands beside ``$ref``, ``anyOf`` and ``oneOf`` | drops |
| ``items`` beside ``prefixItems`` | takes for all items; ``prefixItems`` drops |
| IGNORED, and ``minimum``, ``maximum`` of a number | drops |
| ``{}`` below the root | takes for an object |
"""

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
"""The types of JSON Schema; the grammar refuses any other."""

ANY = {"type": ["object", "array", "string", "number", "boolean", "null"]}
"""Any value, in a form that every version of the engine understands."""

HELD_FORMATS = frozenset(
    ("date", "time", "date-time", "uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5")
)
"""The values of ``format`` that are enforced; any other is dropped."""

IGNORED = frozenset(
    (
        *("multipleOf", "uniqueItems", "not", "if", "then", "else"),
        *("contains", "minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"),
        *("propertyNames", "minProperties", "maxProperties"),
        *("dependentRequired", "dependentSchemas", "dependencies"),
        *("contentEncoding", "contentMediaType", "contentSchema"),
    )
)
"""Keywords that are accepted but not enforced."""

NUMBER_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
"""Enforced for an integer, dropped for a number."""

MAX_LENGTH = 1999
"""The largest ``minLength`` or ``maxLength``; from 2000 on: "failed to parse grammar"."""

MAX_ITEMS = 1000
"""The largest ``minItems`` or ``maxItems`` that is certainly accepted (1001 is, 1999 is not)."""

MAX_COUNT = 1999
"""The sum of all counts in a pattern, nested ones included."""

MAX_INTEGER = 10**15
"""The largest bound of an integer; a minimum of 10**16 keeps the engine busy forever."""

ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "examples", "example", "deprecated"),
        *("readOnly", "writeOnly", "$schema", "$id", "$comment", "$anchor", "discriminator"),
        *("$defs", "definitions", "nullable", "strict", "name"),
    )
)
"""Keywords that describe a value without constraining it."""
