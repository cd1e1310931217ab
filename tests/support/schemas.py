"""JSON schemas as pydantic, TypedDicts and people write them, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

PATTERNS = (
    *(r"^\d+$", r"\d{3}-\d{4}", r"^[A-Z]{2,3}$", r"^\w+@\w+\.\w+$", r"^a|b$", r"\S+", r"^\s*x\s*$"),
    *(r"^(?:ab)+$", r"^(?P<year>\d{4})-(\d\d)$", r"^a+?$", r"^[^a-z]b$", r"^é+$", r"[\w.-]+", r"x"),
    *(
        r"^\p{L}+$",
        r"^(?=a)a$",
        r"^(?!0)\d+$",
        r"\bword\b",
        r"(?i)yes",
        r"^(a)\1$",
        r'^"x"$',
        r"^$",
    ),
    *(r"^[+-]?\d+(\.\d*)?$", r"^[a-z]{1,5000}$", r"^(([a-z]{1,63}\.){1,60}[a-z]{2})*$", r"^\\d$"),
    *(r"^[\[\]\-\^]$", r"^\x41\u0042$", r"^.{1,10}$", r"^a\.+b$", r"[", r"a{,3}", r"^(^a$|^b$)$"),
)
_FORMATS = ("date", "time", "date-time", "uuid", "uuid4", "email", "uri", "ipv4", "duration", "x")
_NAMES = st.one_of(
    st.sampled_from(["name", "age", "first_name", "a-b", "Größe", "a b", 'q"', "x]y", "^", "$id"]),
    st.text(min_size=1, max_size=6),
).filter(lambda name: name not in ("$ref", "$defs"))
_COUNTS = st.sampled_from([0, 1, 2, 5, 100, 1000, 1001, 1999, 2000, 5000, 10**6])
_NUMBERS = st.one_of(st.integers(-100, 100), st.sampled_from([10**15, 10**16, 2**63, -(10**18)]))
_SAID = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["Title", "Größe"]),
        "description": st.sampled_from(["What it is.", "a"]),
        "default": st.sampled_from([None, 1, "x"]),
    },
)


def _bounds(low: str, high: str, numbers: Any) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(st.none() | numbers, st.none() | numbers)
    ordered = pairs.map(lambda p: sorted(p) if None not in p else list(p))
    return ordered.map(
        lambda p: {k: v for k, v in zip((low, high), p, strict=True) if v is not None}
    )


def _with(*parts: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {k: v for part in found for k, v in part.items()})


def _maybe(**keywords: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


STRINGS = _with(
    st.just({"type": "string"}),
    _bounds("minLength", "maxLength", _COUNTS),
    _maybe(pattern=st.sampled_from(PATTERNS)) | _maybe(format=st.sampled_from(_FORMATS)),
)
NUMBERS = st.one_of(
    _with(
        st.just({"type": "integer"}),
        _bounds("minimum", "maximum", _NUMBERS),
        _maybe(multipleOf=st.sampled_from([5, 3])),
    ),
    _with(
        st.just({"type": "number"}),
        _bounds("exclusiveMinimum", "maximum", st.sampled_from([0.5, 1.0, 10, 1e300])),
    ),
)
_LEAVES = st.one_of(
    STRINGS,
    NUMBERS,
    st.sampled_from(
        [
            *({"type": "boolean"}, {"type": "null"}, {}, {"title": "Anything"}, {"type": "object"}),
            *({"const": "cat"}, {"enum": ["a", 1, None]}, {"type": ["string", "null"]}, True),
            *({"$ref": "#/$defs/Node"}, {"$ref": "#/$defs/Kind"}, {"$ref": "#"}),
            *({"allOf": [{"$ref": "#/$defs/Kind"}]}, {"$ref": "#/$defs/Node", "description": "n"}),
            *({"not": {"type": "null"}}, {"type": "array"}, {"$ref": "#/$defs/Box[int]~1x"}),
        ]
    ),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arrays = _with(
        st.just({"type": "array"}),
        _maybe(items=inner),
        _bounds("minItems", "maxItems", _COUNTS),
        _maybe(uniqueItems=st.just(True)),
    )
    tuples = st.lists(inner, min_size=1, max_size=3).map(
        lambda items: {
            "type": "array",
            "prefixItems": items,
            "minItems": len(items),
            "maxItems": len(items),
        }
    )
    choices = st.builds(
        lambda key, branches, beside: {key: branches, **beside},
        st.sampled_from(["anyOf", "oneOf"]),
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from([{}, {"description": "One of them."}, {"type": "object"}]),
    )
    # A part that allows no further properties would forbid what the other part asks for.
    open_ = objects(inner).map(
        lambda one: {key: value for key, value in one.items() if key != "additionalProperties"}
    )
    together = st.lists(open_, min_size=1, max_size=2).map(lambda all_: {"allOf": all_})
    maps = inner.map(lambda one: {"type": "object", "additionalProperties": one})
    keyed = inner.map(lambda one: {"type": "object", "patternProperties": {"^x": one}})
    return st.one_of(objects(inner), arrays, tuples, choices, together, maps, keyed)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of objects whose properties are of ``inner``."""

    def made(properties: dict[str, Any], further: dict[str, Any], all_: bool) -> dict[str, Any]:
        names = list(properties) if all_ else list(properties)[:1]
        return {"type": "object", "properties": properties, "required": names, **further}

    return st.builds(
        made,
        st.dictionaries(_NAMES, inner, max_size=4),
        st.sampled_from([{}, {"additionalProperties": False}, {"additionalProperties": True}]),
        st.booleans(),
    )


_INNER = st.recursive(_LEAVES, _containers, max_leaves=5)
_FINITE = st.recursive(
    _LEAVES.filter(lambda leaf: leaf != {"$ref": "#"}), _containers, max_leaves=5
)
_DEFINED = {
    "Node": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        },
        "required": ["name"],
    },
    "Kind": {"type": "string", "enum": ["a", "b"]},
    "Box[int]/x": {"type": "object", "properties": {"value": {"type": "integer"}}},
}


@st.composite
def schemas(draw: st.DrawFn, *, finite: bool = False) -> dict[str, Any]:
    """Draw the schema of an object with definitions, of which one contains itself.

    ``finite`` leaves out "#", which may ask for a value that never ends.
    """
    inner = _FINITE if finite else _INNER
    return {**draw(objects(inner)), **draw(_SAID), "$defs": _DEFINED}
