"""Read a replication configuration document: JSON, then its schema, then what its rules say together."""

import json
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any, Final, Protocol

import fastjsonschema

from s3replicator.decisions.configuration import (
    MAX_DOCUMENT,
    Configuration,
    InvalidConfiguration,
)
from s3replicator.decisions.replication_document import from_document

SCHEMA: Final = "replication-configuration.schema.json"


class _Validator(Protocol):
    def __call__(self, data: Any) -> Any: ...


def parse(text: str | bytes, source_bucket: str | None = None) -> Configuration:
    """Raises ``InvalidConfiguration``, which names the field, what is wrong with it, and the fix."""
    return from_document(parse_document(text), source_bucket)


def parse_document(text: str | bytes) -> dict[str, Any]:
    """The document as JSON, its shape checked."""
    size = len(text.encode() if isinstance(text, str) else text)
    if size > MAX_DOCUMENT:
        raise InvalidConfiguration(
            "InvalidRequest", "", f"the document has {size} bytes; S3 takes at most {MAX_DOCUMENT}"
        )
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration("MalformedXML", "", f"the document is not JSON: {error}") from None
    _check_shape(document)
    checked: dict[str, Any] = document
    return checked


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name appear twice and keeps the last one; one of the two is a mistake."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{name!r} appears twice in the same object")
    return unique


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("s3replicator").joinpath(SCHEMA).read_text())
    return schema


def _definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = _schema()["definitions"]
    return definitions


@cache
def _validator() -> _Validator:
    compiled: _Validator = fastjsonschema.compile(_schema())
    return compiled


def _check_shape(document: object) -> None:
    try:
        _validator()(document)
    except fastjsonschema.JsonSchemaValueException as error:
        raise _explain(error) from None


def _explain(error: fastjsonschema.JsonSchemaValueException) -> InvalidConfiguration:
    definition = error.definition or {}
    # "data" is the library's word for the whole document.
    field = str(error.name).replace("data", "", 1).lstrip(".")
    match error.rule:
        case "additionalProperties":
            problem = _unknown_names(error)
        case "required":
            refused = _refused_member(error)
            if refused is not None:
                return refused
            problem = _missing_names(error)
        case _:
            problem = _bad_value(error)
    fix = definition.get("x-fix")
    code = definition.get("x-error", "MalformedXML")
    if error.rule == "maxItems":
        code = "InvalidRequest"
    return InvalidConfiguration(code, field, f"{problem}; {fix}" if fix else problem)


def _unknown_names(error: fastjsonschema.JsonSchemaValueException) -> str:
    known = error.definition["properties"]
    unknown = ", ".join(repr(name) for name in error.value if name not in known)
    usable = ", ".join(name for name, schema in known.items() if not _is_refused(schema))
    return f"{unknown} is not a member here; the members are {usable}"


def _is_refused(schema: dict[str, Any]) -> bool:
    return "not" in schema or schema.get("$ref") == "#/definitions/NotYet"


def _refused_member(error: fastjsonschema.JsonSchemaValueException) -> InvalidConfiguration | None:
    """What is missing is often only the other half of a member this release refuses: say that instead."""
    for name, schema in error.definition["properties"].items():
        if name in error.value and _is_refused(schema):
            told = _definitions()["NotYet"] if "$ref" in schema else schema
            field = f"{error.name}.{name}".replace("data.", "", 1)
            return InvalidConfiguration(told["x-error"], field, f"is not accepted; {told['x-fix']}")
    return None


def _missing_names(error: fastjsonschema.JsonSchemaValueException) -> str:
    missing = [name for name in error.rule_definition if name not in error.value]
    return f"{', '.join(missing)} is missing"


def _bad_value(error: fastjsonschema.JsonSchemaValueException) -> str:
    shown = json.dumps(error.value, ensure_ascii=False)
    if len(shown) > 80:
        shown = f"{shown[:77]}..."
    limit = error.rule_definition
    expected = {
        "type": f"must be of type {limit}",
        "enum": f"must be one of {limit}",
        "not": "is not accepted",
        "maxLength": f"must be at most {limit} characters long",
        "minLength": "must not be empty",
        "pattern": "has the wrong form",
        "minItems": "must not be empty",
        "maxItems": f"must have at most {limit} members",
        "maxProperties": f"must have at most {limit} member",
        "minimum": f"must be at least {limit}",
        "maximum": f"must be at most {limit}",
    }
    return f"{shown} {expected[str(error.rule)]}"
