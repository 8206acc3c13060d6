"""``s3rctl config import``: a bucket's own replication configuration, taken over."""

import argparse
import json
from typing import Final

from s3rctl.common import DONE, NOT_DONE, CannotWork, Commands, command, complain, connect, note, print_json
from s3rctl.config_change import put
from s3rctl.status import check_source
from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.deployment import BucketRefused
from s3replicator.decisions.native_replication import Remark, TakenOver, take_over
from s3replicator.decisions.stack import buckets_of, replica_keys_of
from s3replicator.operator_wiring import own_rules_of

_DESCRIPTION: Final = """\
Amazon S3's own replication configuration of a bucket (GetBucketReplication) is printed as a document for this
system, where it means the same. What cannot be taken is named, on standard error, with what to do instead;
a rule is left out as a whole, since without a part of it it would select something else.

Then come the steps that are left: the parameters that the stack needs, and how to take the bucket's own rules
out. As long as both replicate, every new version has two replicas. The backfill at the end brings what was
written in between; what Amazon has replicated already is recognised, and not copied again.

  --put  puts the document in force in the stack that replicates this bucket, if every rule could be taken.
         Without it nothing is written, and no stack is needed

Exits with 1 if the bucket has no such configuration, or if a rule had to be left out."""

_EXAMPLES: Final = """\
  s3rctl config import --bucket my-bucket > rules.json
  s3rctl config import --bucket my-bucket --put"""


def add_to(own: Commands) -> None:
    parser = command(
        own,
        "import",
        summary="take over a bucket's own replication configuration",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    parser.add_argument("--bucket", metavar="BUCKET", required=True, help="the bucket; with --put the source")
    parser.add_argument("--put", action="store_true", help="put it in force")
    parser.set_defaults(run=run, replacing=None)


def run(given: argparse.Namespace) -> int:
    try:
        native = own_rules_of(given.bucket, given.region)
    except BucketRefused as refusal:
        raise CannotWork(str(refusal)) from refusal
    if native is None:
        complain(f"{given.bucket} has no replication configuration of its own")
        return NOT_DONE
    taken = take_over(native.document, lambda document: parse(json.dumps(document), given.bucket))
    remarks = [
        *taken.remarks,
        *(Remark(name, "this release's SDK does not know it, and left it out") for name in native.unknown),
    ]
    complete = taken.complete and not native.unknown
    for remark in remarks:
        complain(f"{remark.field}: {remark.problem}")
    if given.put:
        return _put(given, taken, complete=complete)
    parameters = _parameters(given.bucket, taken)
    if given.json:
        print_json(
            {
                "bucket": given.bucket,
                "complete": complete,
                "remarks": [{"field": remark.field, "problem": remark.problem} for remark in remarks],
                "parameters": parameters,
                "document": taken.document,
            }
        )
    elif taken.document is not None:
        print(json.dumps(taken.document, indent=2))
        named = " ".join(f"{name}={value}" for name, value in parameters.items())
        deploy = f"sam deploy --parameter-overrides DefaultRule=Disabled {named}"
        _tell_steps(deploy, _remove(given.bucket), "s3rctl config put rules.json", _BACKFILL)
    return DONE if complete else NOT_DONE


def _put(given: argparse.Namespace, taken: TakenOver, *, complete: bool) -> int:
    if not complete:
        complain("not written: what is left would not do what the bucket's own rules do")
        return NOT_DONE
    operator = connect(given)
    check_source(operator, given.bucket)
    body = json.dumps(taken.document, indent=2).encode()
    code = put(given, operator, f"the configuration of {given.bucket}", body)
    if code == DONE:
        _tell_steps(_remove(given.bucket), _BACKFILL)
    return code


def _parameters(bucket: str, taken: TakenOver) -> dict[str, str]:
    """Of the stack."""
    if taken.document is None:
        return {}
    configuration = parse(json.dumps(taken.document), bucket)
    keys = replica_keys_of(configuration)
    parameters = {"SourceBucket": bucket, "Destinations": ",".join(buckets_of(configuration))}
    if any(rule.kms for rule in configuration.rules):
        parameters["SourceKmsKeys"] = f"<the ARNs of the keys that encrypt objects of {bucket}>"
    if keys:
        parameters["ReplicaKmsKeys"] = ",".join(keys)
    return parameters


def _tell_steps(*steps: str) -> None:
    note("What is left to do:")
    for step in steps:
        note(f"  {step}")


def _remove(bucket: str) -> str:
    return f"aws s3api delete-bucket-replication --bucket {bucket}"


_BACKFILL: Final = "s3rctl backfill start --yes"
