"""Read a replication configuration document: JSON, then its schema, then what its rules say together."""

import json
import re
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

_WRAPPER: Final = "ReplicationConfiguration"

#: A value or a rule's ID is shown up to this length.
_SHOWN: Final = 80

_RULE: Final = re.compile(r"Rules\[(\d+)\]")


class _Validator(Protocol):
    def __call__(self, data: Any) -> Any: ...


def parse(text: str | bytes, source_bucket: str | None = None) -> Configuration:
    """A document that shall be put in force. Raises ``InvalidConfiguration``, which names the rule, the
    field, what is wrong, and the fix."""
    return _parsed(text, source_bucket, in_force=False)


def parse_in_force(text: str | bytes, source_bucket: str | None = None) -> Configuration:
    """One that is, or was, in force: what a former release let in is used, though ``parse`` would refuse it
    now for keys that collide."""
    return _parsed(text, source_bucket, in_force=True)


def _parsed(text: str | bytes, source_bucket: str | None, *, in_force: bool) -> Configuration:
    document = _unwrapped(_read(text))
    try:
        _check_shape(document)
        return from_document(document, source_bucket, in_force=in_force)
    except InvalidConfiguration as error:
        raise _naming_rule(document, error) from None


def text_of(body: bytes) -> str:
    """The text of a document, in whichever encoding JSON may have. The only place that decodes one: whoever
    checks, stores, shows or obeys a document reads the same. Raises ``InvalidConfiguration``."""
    encoding = json.detect_encoding(body)
    try:
        # A former release took halves of characters: what is in force stays readable.
        return body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(
            "MalformedXML",
            "",
            f"the document is not JSON, and no text in {encoding.upper()}: {error}; save it as UTF-8",
        ) from None


def to_store(body: bytes) -> bytes:
    """A document as it is stored: in UTF-8, and without the wrapper that `aws s3api get-bucket-replication`
    prints, which no former release reads. Raises ``InvalidConfiguration`` if it is no JSON, or has halves of
    characters, which nothing can store."""
    text = text_of(body)
    document = _read(text)
    try:
        # Written out, what JSON says with escapes is seen as well.
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise InvalidConfiguration(
            "MalformedXML", "", f"the document has half of a character ({half!a}); write it whole"
        ) from None
    inner = _unwrapped(document)
    return text.encode() if inner is document else json.dumps(inner, indent=2, ensure_ascii=False).encode()


def _read(text: str | bytes) -> Any:
    size = len(text.encode(errors="surrogatepass") if isinstance(text, str) else text)
    if size > MAX_DOCUMENT:
        raise InvalidConfiguration(
            "InvalidRequest", "", f"the document has {size} bytes; S3 takes at most {MAX_DOCUMENT}"
        )
    try:
        return json.loads(
            text if isinstance(text, str) else text_of(text),
            object_pairs_hook=_unique,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration("MalformedXML", "", f"the document is not JSON: {error}") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _unwrapped(document: Any) -> Any:
    """Amazon's tools print a configuration as a member of the answer; the SDK adds what it knows of that."""
    if isinstance(document, dict) and document.keys() - {"ResponseMetadata"} == {_WRAPPER}:
        return document[_WRAPPER]
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name appear twice and keeps the last one; one of the two is a mistake."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{name!r} appears twice in the same object")
    return unique


def _naming_rule(document: Any, error: InvalidConfiguration) -> InvalidConfiguration:
    """``error`` with the ID of the rule it is about: who has many rules does not count them."""
    where = _RULE.match(error.field)
    rule = document["Rules"][int(where[1])] if where else None
    name = rule.get("ID") if isinstance(rule, dict) else None
    if not isinstance(name, str) or not name or error.field.endswith(".ID"):
        return error
    return InvalidConfiguration(error.code, error.field, f"rule {_shown(name)}: {error.problem}")


# -- the shape


@cache
def _validator() -> _Validator:
    schema = json.loads(files("s3replicator").joinpath(SCHEMA).read_text())
    compiled: _Validator = fastjsonschema.compile(schema)
    return compiled


def _check_shape(document: Any) -> None:
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
            problem = _missing_names(error)
        case _:
            problem = _bad_value(error)
    fix = definition.get("x-fix")
    if error.value is None and error.rule not in ("not", "required"):
        # Whoever writes null means that there is nothing to be said.
        fix = f"{fix}; or leave it out, since null says nothing" if fix else "leave it out: null says nothing"
    return InvalidConfiguration(
        _code(definition, str(error.rule)), field, f"{problem}; {fix}" if fix else problem
    )


def _code(definition: dict[str, Any], keyword: str) -> str:
    code: str | dict[str, str] = definition.get("x-error", {})
    return code if isinstance(code, str) else code.get(keyword, "MalformedXML")


def _unknown_names(error: fastjsonschema.JsonSchemaValueException) -> str:
    known = error.definition["properties"]
    unknown = ", ".join(repr(name) for name in error.value if name not in known)
    usable = ", ".join(name for name, schema in known.items() if not _is_refused(schema))
    return f"{unknown} is not a member here; the members are {usable}"


def _is_refused(schema: dict[str, Any]) -> bool:
    return "not" in schema or schema.get("$ref") == "#/definitions/NotYet"


def _missing_names(error: fastjsonschema.JsonSchemaValueException) -> str:
    missing = [name for name in error.rule_definition if name not in error.value]
    return f"{', '.join(missing)} is missing"


def _bad_value(error: fastjsonschema.JsonSchemaValueException) -> str:
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
        "minProperties": "must not be empty",
        "maxProperties": f"must have at most {limit} member",
        "minimum": f"must be at least {limit}",
        "maximum": f"must be at most {limit}",
    }
    return f"{_shown(error.value)} {expected[str(error.rule)]}"


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
