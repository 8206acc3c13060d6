"""``s3rctl check``: whether the deployment can do its work, found out by the roles that do it."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Final

from s3rctl.common import (
    DONE,
    NOT_DONE,
    Commands,
    command,
    connect,
    note,
    plural,
    print_json,
    print_table,
    safe,
)
from s3rctl.policy import print_document
from s3replicator.decisions import policies, problems
from s3replicator.decisions.deployment import BucketRefused, SetupRefused
from s3replicator.decisions.findings import (
    Check,
    Finding,
    Remedy,
    Severity,
    arranged,
    failed,
    fine,
    warnings,
)
from s3replicator.decisions.stack import Stack
from s3replicator.usecases.notification_wiring import NotificationWiring

_DESCRIPTION: Final = """\
The functions of the stack look at the source and at each destination as the roles that replicate: whether
the buckets exist, in which region, whose they are, versioning, Object Lock, Object Ownership, the KMS keys of
the rules, lifecycle rules, and rules of Amazon's own replication. Then they try it out: for each kind of
replica, wherever the rules make it, a small object `.s3-replicator-probe/NAME` is written behind the prefix
of the replicas (at most 20 a bucket; what is left out is named), its tags are changed, it is read, hidden by
a delete marker where rules replicate those, copied again, and deleted by its version id.
Nothing of it stays, no stack replicates it, and the source is only read. Where Object Lock gives it a
retention it is one of five seconds, for which the check waits.

The source's notifications are looked at with your own credentials: an entry that somebody else has
overwritten is the usual reason why new objects do not arrive. --fix repairs that, and nothing else; entries
of others stay as they are.

  failed   replication does not work, or not as the rules say
  warning  it works; something is not as it should be, or could not be looked at
  ok       as it should be

Below the table stand the documents to paste: a bucket policy, a condition, a lifecycle rule. See `s3rctl
policy --help`.

Exits with 0 if nothing failed, warnings or not; with 1 if something did."""

_EXAMPLES: Final = """\
  s3rctl check
  s3rctl check --fix
  s3rctl check --json > checked.json"""

_SOURCE_WIRED: Final = "the ingest queue is told of everything"


def add_to(commands: Commands) -> None:
    parser = command(
        commands,
        "check",
        summary="check that the stack can replicate, by trying it",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="repair the source's notifications if they are not as they should be",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    operator = connect(given)
    asked = operator.check_request()
    wired = _notifications(operator.stack.source_bucket, operator.wiring(), fix=given.fix)
    findings = arranged([wired, *asked.run()])
    documents = list(_documents(operator.stack, findings))
    if given.json:
        print_json(
            {
                "ok": not failed(findings),
                "findings": [finding.document() for finding in findings],
                "documents": [
                    {"remedy": remedy, "resource": resource, "document": document}
                    for remedy, resource, document in documents
                ],
            }
        )
    else:
        _print(findings)
        for remedy, resource, document in documents:
            print()
            print(safe(_title(remedy, resource)))
            print_document(document)
        _conclude(findings)
    return NOT_DONE if failed(findings) else DONE


def _notifications(source: str, wiring: NotificationWiring, *, fix: bool) -> Finding:
    try:
        problem = wiring.problem()
    except BucketRefused as refusal:
        return problems.NOTIFICATIONS_UNSEEN.at(source, told=str(refusal).rstrip("."))
    if problem is not None and fix:
        try:
            wiring.repair()
            note(f"Repaired: {problem}")
            problem = wiring.problem()
        except (SetupRefused, BucketRefused) as refusal:
            problem = str(refusal)
    if problem is not None:
        return problems.NOT_WIRED.at(source, told=problem)
    return fine(Check.NOTIFICATIONS, source, _SOURCE_WIRED)


def _print(findings: Iterable[Finding]) -> None:
    print_table(
        ["SUBJECT", "CHECK", "RESULT", "CODE", "WHAT TO DO"],
        [
            [
                finding.subject,
                finding.check,
                finding.severity,
                finding.code,
                f"{finding.message} {finding.fix}".rstrip() if finding.severity is not Severity.OK else None,
            ]
            for finding in findings
        ],
    )


def _conclude(findings: list[Finding]) -> None:
    wrong, doubtful = len(failed(findings)), len(warnings(findings))
    if wrong or doubtful:
        note(f"{wrong} failed, {plural(doubtful, 'warning')}: see docs/runbook.md, under Preflight")


def _documents(stack: Stack, findings: Iterable[Finding]) -> Iterator[tuple[Remedy, str, policies.Document]]:
    """Each once."""
    wanted = {(found.remedy, found.resource): found for found in findings if found.remedy is not None}
    principals = policies.by_arn(stack.roles)
    for remedy, resource in wanted:
        match remedy:
            case Remedy.BUCKET_POLICY:
                yield remedy, resource, policies.bucket_policy(resource, stack.partition, principals)
            case Remedy.EXEMPTION:
                yield remedy, resource, policies.exemption(stack.roles)
            case Remedy.KEY_POLICY:
                yield remedy, resource, {"Statement": policies.key_statements(principals)}
            case Remedy.ABORT_RULE:
                yield remedy, resource, policies.abort_rule()


_TITLES: Final[dict[Remedy, str]] = {
    Remedy.BUCKET_POLICY: "Bucket policy for {0}, if it has none yet; else add its statements to the policy:",
    Remedy.EXEMPTION: "For the Deny statement in the bucket policy of {0}:",
    Remedy.KEY_POLICY: "Statements for the key policy of {0}, beside those it has:",
    Remedy.ABORT_RULE: "Lifecycle configuration for {0}, if it has none yet; else add its rule:",
}


def _title(remedy: Remedy, resource: str) -> str:
    return _TITLES[remedy].format(resource)
