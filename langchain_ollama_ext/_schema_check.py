"""Validate a value against a JSON schema as its caller wrote it.

A server's grammar enforces only part of a schema (ollama_transport.schema), and some servers none.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_MAX_FAULTS = 3
_MAX_SHOWN = 200


def check_value(schema: Mapping[str, Any], value: Any) -> None:
    """Validate a value; a schema that is invalid in every draft of JSON Schema checks nothing.

    Raises:
        ValueError: naming up to three fields and what is wrong with each.
    """
    # Imported lazily: jsonschema takes longer to import than the rest of the adapter.
    from jsonschema import exceptions
    from referencing.exceptions import Unresolvable

    validator = _validator(schema)
    if validator is None:
        return
    try:
        found = sorted(validator.iter_errors(value), key=exceptions.relevance, reverse=True)
    except Unresolvable:
        return
    told = [_told(fault) for fault in found[:_MAX_FAULTS]]
    if len(found) > len(told):
        told.append(f"and {len(found) - len(told)} more errors")
    if told:
        raise ValueError("; ".join(told))


def _told(fault: Any) -> str:
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault.absolute_path)
    place = f"{path.lstrip('.')}: " if path else ""
    said = str(fault.message)
    return f"{place}{said if len(said) <= _MAX_SHOWN else said[:_MAX_SHOWN] + '…'}"


def _validator(schema: Mapping[str, Any]) -> Any:
    """Return a validator of the first draft in which the schema is valid; None if in none.

    It loads nothing from the network.
    """
    import jsonschema
    from referencing.jsonschema import EMPTY_REGISTRY

    drafts = (
        *(jsonschema.Draft202012Validator, jsonschema.Draft7Validator, jsonschema.Draft4Validator),
    )
    for draft in (jsonschema.validators.validator_for(schema, default=drafts[0]), *drafts):
        try:
            # Without format checks: Python's `re` rejects patterns that are valid elsewhere.
            draft.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
        except jsonschema.SchemaError:
            continue
        tolerant = jsonschema.validators.extend(draft, {"pattern": _pattern})
        return tolerant(schema, registry=EMPTY_REGISTRY, format_checker=draft.FORMAT_CHECKER)
    return None


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    try:
        fits = not isinstance(value, str) or re.search(pattern, value) is not None
    except re.error:
        # Python's `re` does not know \p{…}, unlike other implementations.
        return
    if not fits:
        yield ValidationError(f"{value!r} does not match {pattern!r}")
