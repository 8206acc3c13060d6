"""What a check of a deployment finds: one finding a check and bucket, good or bad, as values and as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self


class Severity(StrEnum):
    """``FAILED``: replication does not work. ``WARNING``: it works, and something is not as it should be, or
    could not be looked at."""

    FAILED = "failed"
    WARNING = "warning"
    OK = "ok"


class Check(StrEnum):
    """What is looked at, in the order in which it is told."""

    CONFIGURATION = "configuration"
    COLLISIONS = "key collisions"
    NOTIFICATIONS = "notifications"
    EXISTENCE = "existence"
    REGION = "region"
    OWNER = "owner"
    VERSIONING = "versioning"
    OBJECT_LOCK = "object lock"
    OWNERSHIP = "object ownership"
    KEY = "encryption key"
    NATIVE = "native replication"
    LOOPS = "loops"
    UPLOADS = "incomplete uploads"
    EXPIRATION = "expiration"
    SOURCE = "read the source"
    WRITE = "write a replica"
    TAG = "change its tags"
    ACL = "change its ACL"
    READ = "read it"
    MARKER = "write a delete marker"
    COPY = "copy it again"
    PARTS = "copy in parts"
    DELETE = "delete a version"


class Remedy(StrEnum):
    """A document that mends it, which whoever shows the finding makes."""

    BUCKET_POLICY = "bucket policy"
    EXEMPTION = "condition of the Deny"
    KEY_POLICY = "key policy"
    ABORT_RULE = "lifecycle rule"


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject`` is a bucket, or what the check is about. ``code`` is Amazon S3's where it has one. ``fix``
    says what to do, empty if nothing. ``remedy`` is about ``resource``: a bucket, or a key."""

    check: Check
    subject: str
    severity: Severity
    message: str
    code: str | None = None
    fix: str = ""
    remedy: Remedy | None = None
    resource: str = ""

    def document(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "subject": self.subject,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "fix": self.fix,
            "remedy": self.remedy,
            "resource": self.resource,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            check=Check(document["check"]),
            subject=document["subject"],
            severity=Severity(document["severity"]),
            message=document["message"],
            code=document["code"],
            fix=document["fix"],
            remedy=Remedy(document["remedy"]) if document["remedy"] else None,
            resource=document["resource"],
        )

    def __str__(self) -> str:
        code = f"{self.code}: " if self.code else ""
        return f"{self.subject}: {code}{self.message} {self.fix}".rstrip()


def fine(check: Check, subject: str, message: str) -> Finding:
    return Finding(check, subject, Severity.OK, message)


_CHECKS: Final = list(Check)


def arranged(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, by subject in the order they came, then by check. Where something is wrong with a
    check it is not said as well that it is fine, for another kind of replica perhaps."""
    listed = list(dict.fromkeys(findings))
    wrong = {(found.subject, found.check) for found in listed if found.severity is not Severity.OK}
    subjects = list(dict.fromkeys(found.subject for found in listed))
    told = [
        found
        for found in listed
        if found.severity is not Severity.OK or (found.subject, found.check) not in wrong
    ]
    return sorted(told, key=lambda found: (subjects.index(found.subject), _CHECKS.index(found.check)))


def failed(findings: Iterable[Finding]) -> list[Finding]:
    return [found for found in findings if found.severity is Severity.FAILED]


def warnings(findings: Iterable[Finding]) -> list[Finding]:
    return [found for found in findings if found.severity is Severity.WARNING]
