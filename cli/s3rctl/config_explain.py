"""``s3rctl config explain``: which rule decides for an object, and why the others do not."""

import argparse
from collections.abc import Sequence
from typing import Any, Final

from s3rctl.arguments import key_text, object_at_source, size_given
from s3rctl.common import (
    DONE,
    NOT_DONE,
    CannotWork,
    Commands,
    command,
    connect,
    note,
    print_json,
    print_table,
    safe,
    size,
)
from s3rctl.config_file import read_file, refuse
from s3rctl.status import check_source
from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import InvalidConfiguration
from s3replicator.decisions.explanation import AtBucket, Explained, asked_of, explain
from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.rules import needs_tags
from s3replicator.decisions.versions import SourceObject, Tag, VersionRef, id_for_s3
from s3replicator.operator_wiring import source_in
from s3replicator.ports import Ledger, Source
from s3replicator.usecases.explanation import Asking, Imagined, Subject, Subjects, imagine, with_owners

_DESCRIPTION: Final = """\
For each destination: which rule decides for the object, under which key its replica would lie, and of every
other rule why it does not decide. It is the answer the functions act on, for the rules in force or, with
--file, for those of a file, such as one that has not been put in force yet.

The object is looked at, in its newest version or the one that --version-id names: tags, size, storage class,
encryption. What is given on the command line is taken instead, so that it can be asked of an object that is
not there, too ("and if it had the tag class=public?"). A delete marker has no tags and no size: it is judged
by those of the version that it hides.

Where the place that a rule in force gives the replica is another key's, that is said, too: the ledger knows.

  --file    judges by the rules of a file, without a stack. The source is asked only for what the rules need
            to know and is not given; if nothing is, no AWS is needed, and it is not looked at whether the
            object could be replicated as it is stored: encryption and class count as they are given
  --marker  asks about a delete marker, as if the object were deleted now

Exits with 0 if it goes to some destination, with 1 if to none."""

_EXAMPLES: Final = """\
  s3rctl config explain s3://my-bucket/reports/2026.csv
  s3rctl config explain s3://my-bucket/reports/2026.csv --marker
  s3rctl config explain s3://my-bucket/new/key --tags class=public,team=a --size 1MiB
  s3rctl config explain s3://my-bucket/key --file rules.json --tags '' --size 10 --storage-class STANDARD"""


def add_to(own: Commands) -> None:
    parser = command(
        own,
        "explain",
        summary="say which rules select an object, which one decides, and why the others do not",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    object_at_source(parser)
    parser.add_argument("--file", metavar="FILE", help="the rules of this file, or of standard input (-)")
    parser.add_argument(
        "--tags",
        type=_tags,
        metavar="K=V,...",
        help="as if it had these tags, and no others ('' for none)",
    )
    parser.add_argument(
        "--size", type=size_given, metavar="SIZE", help="as if it had this size, such as 1MiB"
    )
    parser.add_argument("--storage-class", metavar="CLASS", help="as if it were in this storage class")
    parser.add_argument("--encryption", metavar="KIND", help="as if it were encrypted so, such as aws:kms")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--marker", action="store_true", help="a delete marker, as if it were deleted now")
    which.add_argument("--version-id", metavar="ID", help="this version, instead of the newest")
    parser.set_defaults(run=run)


def _tags(text: str) -> frozenset[Tag]:
    """The value of an option. S3 allows no comma in a tag."""
    pairs = [pair.partition("=") for pair in key_text(text).split(",") if pair]
    tags = {key: Tag(key, value) for key, equals, value in pairs if key and equals}
    if len(tags) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value,key=value, each key once")
    return frozenset(tags.values())


def run(given: argparse.Namespace) -> int:
    bucket, key = given.object
    imagined = Imagined(given.tags, given.size, given.storage_class, given.encryption, given.marker)
    if given.file is not None:
        try:
            configuration = parse(read_file(given.file), bucket)
        except InvalidConfiguration as error:
            return refuse(given, given.file, error)
        ledger: Ledger | None = None
        destinations: Sequence[str] = ()
        asking = asked_of(configuration, key)
        needed = given.version_id is not None or imagined.lacks(asking)
        source = source_in(given.region) if needed else None
    else:
        operator = connect(given)
        check_source(operator, bucket)
        configuration = operator.configuration().rules(bucket)
        destinations = operator.stack.destinations
        asking = asked_of(configuration, key)
        source, ledger = operator.source(), operator.ledger()
    subject = _subject(source, VersionRef(bucket, key, given.version_id or ""), imagined, asking)
    told = explain(
        configuration,
        subject.version,
        subject.facts,
        destinations=destinations,
        problem=subject.problem,
        copied_in_place=subject.copied_in_place,
    )
    if ledger is not None:
        told = _with_owners(ledger, subject.version.ref, told)
    known = _known(subject, imagined, asking)
    if given.json:
        print_json(_document(subject, known, told))
    else:
        _print(subject, known, told)
    return DONE if any(at.replicated for at in told) else NOT_DONE


def _with_owners(ledger: Ledger, ref: VersionRef, told: list[AtBucket]) -> list[AtBucket]:
    try:
        return with_owners(ledger, ref, told)
    except ReplicationError as failure:
        note(
            f"whether another key has the place is not known, as the ledger cannot be read: {failure.detail}"
        )
        return told


def _subject(source: Source | None, ref: VersionRef, imagined: Imagined, asking: Asking) -> Subject:
    found = None
    if source is not None:
        found = Subjects(source).find(ref.bucket, ref.key, imagined, asking, ref.version_id or None)
    if found is not None:
        return found
    if ref.version_id:
        raise CannotWork(f"s3://{ref.bucket}/{ref.key} has no version {ref.version_id}: see `s3rctl status`")
    lacking = imagined.lacks(asking)
    if lacking:
        raise CannotWork(
            f"s3://{ref.bucket}/{ref.key} does not exist, and rules ask for its {', '.join(lacking)}: give"
            f" {' '.join(_OPTIONS[name] for name in lacking)}"
        )
    if source is not None:
        note(f"s3://{ref.bucket}/{ref.key} does not exist: this is what would be if it did")
    return imagine(ref, imagined)


def _known(subject: Subject, imagined: Imagined, asking: Asking) -> Imagined:
    """What is known of it: given, or read."""
    facts, looked_at = subject.facts, not subject.imagined
    encryption = subject.version.encryption if isinstance(subject.version, SourceObject) else None
    return Imagined(
        tags=facts.tags if imagined.tags is not None or needs_tags(asking) else None,
        size=facts.size if imagined.size is not None or looked_at else None,
        storage_class=facts.storage_class if imagined.storage_class is not None or looked_at else None,
        encryption=encryption,
        marker=not isinstance(subject.version, SourceObject),
    )


_OPTIONS: Final = {"tags": "--tags", "size": "--size", "storage class": "--storage-class"}


# -- as a table


def _print(subject: Subject, known: Imagined, told: Sequence[AtBucket]) -> None:
    ref = subject.version.ref
    print(safe(f"s3://{ref.bucket}/{ref.key}: {', '.join(_about(ref, known))}"))
    for at in told:
        print(safe(f"  {at.bucket}: {_outcome(at)}"))
    rows = [(at, each) for at in told for each in at.rules]
    if rows:
        print()
        print_table(
            ["DESTINATION", "RULE", "PRIORITY", "ANSWER", "WHY NOT"],
            [
                [at.bucket, each.rule.id, str(each.rule.priority), _answer(each), "; ".join(each.reasons)]
                for at, each in rows
            ],
        )


def _about(ref: VersionRef, known: Imagined) -> list[str]:
    told = ["a delete marker" if known.marker else "an object"]
    if ref.version_id:
        told.append(f"version {id_for_s3(ref.version_id)}")
    of_object = [size(known.size), known.storage_class]
    if known.encryption:
        of_object.append(f"encrypted with {known.encryption}")
    if known.tags is not None:
        of_object.append(" ".join(["tags", *_pairs(known.tags)]) if known.tags else "no tags")
    facts = [each for each in of_object if each is not None]
    return [*told, f"hiding an object ({', '.join(facts)})"] if known.marker and facts else told + facts


def _pairs(tags: frozenset[Tag]) -> list[str]:
    return [f"{tag.key}={tag.value}" for tag in sorted(tags)]


def _outcome(at: AtBucket) -> str:
    if at.rule is None:
        return (
            "not replicated: no rule selects it" if at.rules else "not replicated: no rule names this bucket"
        )
    if at.problem is not None:
        return f"not replicated, although rule {at.rule.id!r} decides: {at.problem}"
    return f"replicated by rule {at.rule.id!r}, as s3://{at.bucket}/{at.replica_key}"


def _answer(each: Explained) -> str:
    if each.decides:
        return "decides"
    return "selects" if each.selects and each.rule.enabled else "no"


# -- as a document


def _document(subject: Subject, known: Imagined, told: Sequence[AtBucket]) -> dict[str, Any]:
    ref, tags = subject.version.ref, known.tags
    return {
        "bucket": ref.bucket,
        "key": ref.key,
        "versionId": id_for_s3(ref.version_id) or None,
        "kind": "marker" if known.marker else "object",
        # Of a delete marker: what the object is like that it hides.
        "tags": None if tags is None else [{"key": tag.key, "value": tag.value} for tag in sorted(tags)],
        "size": known.size,
        "storageClass": known.storage_class,
        "encryption": known.encryption,
        "replicated": any(at.replicated for at in told),
        "destinations": [_at_document(at) for at in told],
    }


def _at_document(at: AtBucket) -> dict[str, Any]:
    return {
        "destination": at.bucket,
        "replicated": at.replicated,
        "rule": at.rule.id if at.rule else None,
        "replicaKey": at.replica_key,
        "problem": at.problem,
        "rules": [
            {
                "id": each.rule.id,
                "priority": each.rule.priority,
                "enabled": each.rule.enabled,
                "selects": each.selects,
                "decides": each.decides,
                "reasons": list(each.reasons),
            }
            for each in at.rules
        ],
    }
