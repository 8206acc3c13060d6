"""``s3rctl policy``: what the policies of destinations and keys have to allow."""

import argparse
import json
import re
from typing import Final

from s3rctl.common import DONE, CannotWork, Commands, command, connect, group, note, print_json
from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.policies import (
    Document,
    Principals,
    bucket_policy,
    by_arn,
    by_name,
    key_statements,
)
from s3replicator.decisions.stack import ROLE_ARNS, StackUnusable
from s3replicator.operator_wiring import Operator, partition_of

_GROUP: Final = """\
Where a destination, or a key, belongs to another account than the stack, what the stack's roles are allowed
is half of it: the policy of the bucket, and of the key, has to allow it as well. These commands print what is
missing there, with exactly the actions that each role uses. They change nothing."""

_DESTINATION: Final = """\
The document is a whole bucket policy and can be applied as it is to a bucket that has none, by somebody in
the bucket's account:

  s3rctl policy destination BUCKET > policy.json
  aws s3api put-bucket-policy --bucket BUCKET --policy file://policy.json

put-bucket-policy replaces the policy that is there: if there is one (`aws s3api get-bucket-policy`), put
these statements beside its own.

Without --account the stack is asked for its roles, and they are named one by one. A stack that is not
deployed yet has none, and its deployment fails without the policy: then --account says which account it will
be in, and the policy allows the roles that a stack of that name (--stack) will have. Both forms work once it
is there; if you replace the one by the other, apply it again whenever the stack has been deleted and deployed
anew, as roles have new identities then."""

_KEY: Final = """\
The statements go beside those that the key policy has: one that does not let the key's own account administer
it could not be changed again by anybody. The key must also be named in the stack's parameter ReplicaKmsKeys.

  aws kms get-key-policy --key-id KEY --policy-name default --output text > policy.json
  s3rctl policy key KEY      # add them to policy.json
  aws kms put-key-policy --key-id KEY --policy-name default --policy file://policy.json

Without --account the stack is asked for its roles; see `s3rctl policy destination --help`."""


def add_to(commands: Commands) -> None:
    own = group(
        commands,
        "policy",
        summary="print the policies that destinations of other accounts need",
        description=_GROUP,
    )
    destination = command(
        own,
        "destination",
        summary="print the bucket policy for a destination",
        description=_DESTINATION,
        examples="  s3rctl policy destination my-replicas\n"
        "  s3rctl policy destination my-replicas --account 111122223333 --stack s3-replicator",
    )
    destination.add_argument("bucket", metavar="BUCKET", help="the destination")
    _account(destination)
    destination.set_defaults(run=run_destination)
    key = command(
        own,
        "key",
        summary="print the statements for the policy of a key that encrypts replicas",
        description=_KEY,
        examples="  s3rctl policy key"
        " arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    )
    key.add_argument("key", metavar="KEY", help="the ARN of the key")
    _account(key)
    key.set_defaults(run=run_key)


def _account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--account",
        metavar="ID",
        type=_account_id,
        help="the account that the stack is in, or will be; then no stack needs to be there",
    )


def _account_id(text: str) -> str:
    if not re.fullmatch("[0-9]{12}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the id of an account, which has 12 digits")
    return text


def run_destination(given: argparse.Namespace) -> int:
    operator = _operator(given)
    partition, principals = _principals(given, operator)
    _print(given, bucket_policy(given.bucket, partition, principals))
    for key in _keys(operator, given.bucket) if operator is not None else []:
        note(
            f"Rules encrypt replicas there with {key}: its policy needs what `s3rctl policy key {key}` prints"
        )
    return DONE


def run_key(given: argparse.Namespace) -> int:
    _, principals = _principals(given, _operator(given))
    _print(given, {"Statement": key_statements(principals)})
    if not given.json:
        note("Add these to the statements that the key policy has; it must not be replaced by them.")
    return DONE


def _operator(given: argparse.Namespace) -> Operator | None:
    """None if the account was given, and no stack is asked for. Raises ``CannotWork``."""
    if given.account is not None:
        return None
    try:
        operator = connect(given)
    except StackUnusable as error:
        raise CannotWork(f"{error}; before it is deployed, --account ID names its account") from error
    if not operator.stack.roles:
        raise CannotWork(
            f"stack {operator.stack.name!r} has no output {ROLE_ARNS}, as a former release has deployed it:"
            " deploy this one, or name its account with --account ID"
        )
    return operator


def _principals(given: argparse.Namespace, operator: Operator | None) -> tuple[str, Principals]:
    """With the partition they are in."""
    if operator is None:
        partition = partition_of(given.region)
        return partition, by_name(partition, given.account, given.stack)
    return operator.stack.partition, by_arn(operator.stack.roles)


def _keys(operator: Operator, bucket: str) -> list[str]:
    """Those that the rules in force name for a destination; none if they cannot be read."""
    try:
        rules = operator.configuration().rules(operator.stack.source_bucket).ranked
    except ReplicationError:
        return []
    keys = (rule.destination.kms_key for rule in rules if rule.destination.bucket == bucket)
    return list(dict.fromkeys(key for key in keys if key is not None))


def _print(given: argparse.Namespace, document: Document) -> None:
    if given.json:
        print_json(document)
    else:
        print_document(document)


def print_document(document: Document) -> None:
    """JSON as it is pasted, a list of words on one line."""
    text = json.dumps(document, indent=2)
    print(re.sub(r"\[\s+((?:\"[^\"]*\",?\s+)+)\]", _on_one_line, text))


def _on_one_line(found: re.Match[str]) -> str:
    words = " ".join(found[1].split())
    return f"[{words}]" if len(words) < 90 else found[0]
