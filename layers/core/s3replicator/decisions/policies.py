"""What has to be added to the policies of buckets and keys, where what a stack's roles have is not enough: in
another account, and where a policy denies more than it means to.

What each role does is written in template.yaml; a test holds the two together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]

REPLICATE: Final = "ReplicateRole"
LARGE: Final = "ReplicateLargeRole"
RETRY: Final = "RetryRole"
BACKFILL: Final = "BackfillRole"
SURVEY: Final = "SurveyRole"
SETUP: Final = "BucketSetupRole"

#: Every role that reaches into a destination, as the template calls it.
ROLES: Final = (REPLICATE, LARGE, RETRY, BACKFILL, SURVEY, SETUP)

_WRITERS: Final = (REPLICATE, LARGE, RETRY, BACKFILL)
_IN_PARTS: Final = (LARGE, RETRY, BACKFILL)


@dataclass(frozen=True, slots=True)
class Permission:
    """``actions`` that all of ``roles`` need, and no other does."""

    name: str
    roles: tuple[str, ...]
    actions: tuple[str, ...]


#: On a destination's objects.
OBJECTS: Final = (
    Permission(
        "WriteReplicas",
        _WRITERS,
        (
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:PutObjectAcl",
            "s3:PutObjectRetention",
            "s3:PutObjectLegalHold",
            "s3:PutObjectAnnotation",
            "s3:PutObjectVersionTagging",
            "s3:PutObjectVersionAcl",
            "s3:PutObjectVersionAnnotation",
            "s3:DeleteObjectAnnotation",
            "s3:DeleteObjectVersionAnnotation",
            "s3:DeleteObject",
            "s3:GetObjectVersion",
            "s3:GetObjectVersionTagging",
            "s3:GetObjectRetention",
            "s3:GetObjectLegalHold",
            "s3:GetObjectAnnotation",
            "s3:GetObjectVersionAnnotation",
            "s3:ListObjectAnnotations",
            "s3:ListObjectVersionAnnotations",
        ),
    ),
    Permission("GiveUpUploads", _WRITERS, ("s3:AbortMultipartUpload",)),
    Permission("CopyInParts", _IN_PARTS, ("s3:ListMultipartUploadParts",)),
    Permission("FollowChanges", (REPLICATE, RETRY, BACKFILL), ("s3:GetObjectVersionAcl",)),
    Permission("PutVersionsInOrder", (RETRY, BACKFILL), ("s3:DeleteObjectVersion",)),
)

#: On the bucket itself.
BUCKET: Final = (
    Permission("List", (*_WRITERS, SETUP), ("s3:ListBucket",)),
    Permission("ListVersions", (*_WRITERS, SURVEY), ("s3:ListBucketVersions",)),
    Permission("ListUploads", (SURVEY,), ("s3:ListBucketMultipartUploads",)),
    Permission("LookAtVersioning", (REPLICATE, SETUP), ("s3:GetBucketVersioning",)),
    Permission(
        "LookAtSettings",
        (REPLICATE,),
        (
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
        ),
    ),
)

#: On a key that encrypts replicas, through S3; and, only to look at it, directly.
THROUGH_S3: Final = (
    Permission("EncryptReplicasAndReadThem", _WRITERS, ("kms:GenerateDataKey", "kms:Decrypt")),
)
DIRECTLY: Final = (Permission("LookAtKey", (REPLICATE,), ("kms:DescribeKey",)),)

#: How principals are named in a statement: its Principal, and what its Condition has about it.
Principals = Callable[[Iterable[str]], tuple[Document, Document]]


def by_arn(arns: Mapping[str, str]) -> Principals:
    """The roles of a stack that is there."""
    return lambda roles: ({"AWS": [arns[role] for role in roles]}, {})


def by_name(partition: str, account: str, stack: str) -> Principals:
    """The roles that a stack of that name has, or will have: a policy takes no role that is not there yet.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    # A role's name has 64 characters: CloudFormation shortens that of a stack to make room for the rest.
    name = stack if len(stack) <= 31 else f"{stack[:24]}*"
    prefix = f"arn:{partition}:iam::{account}"

    def named(roles: Iterable[str]) -> tuple[Document, Document]:
        patterns = [f"{prefix}:role/{name}-{role}-*" for role in roles]
        return {"AWS": f"{prefix}:root"}, {"ArnLike": {"aws:PrincipalArn": patterns}}

    return named


def bucket_policy(bucket: str, partition: str, principals: Principals) -> Document:
    """A whole bucket policy, as ``put-bucket-policy`` takes it."""
    arn = f"arn:{partition}:s3:::{bucket}"
    statements = [
        _statement(permission, resource, principals)
        for permissions, resource in ((OBJECTS, f"{arn}/*"), (BUCKET, arn))
        for permission in permissions
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def key_statements(principals: Principals) -> list[Document]:
    """What a key's policy needs beside what it says already: one without a word for its account's
    administrators would shut them out."""
    through_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com*"}}
    return [
        *(_statement(permission, "*", principals, through_s3) for permission in THROUGH_S3),
        *(_statement(permission, "*", principals) for permission in DIRECTLY),
    ]


def exemption(arns: Mapping[str, str]) -> Document:
    """What a Deny statement needs to spare the roles."""
    return {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": [arns[role] for role in ROLES]}}}


def abort_rule() -> Document:
    """A lifecycle configuration, as ``put-bucket-lifecycle-configuration`` takes it. The days are far more
    than the largest object takes, and few enough to cost little."""
    rule = {
        "ID": "abort-incomplete-multipart-uploads",
        "Status": "Enabled",
        "Filter": {},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    return {"Rules": [rule]}


def _statement(
    permission: Permission, resource: str, principals: Principals, condition: Document | None = None
) -> Document:
    principal, of_principal = principals(permission.roles)
    statement: Document = {
        "Sid": f"S3Replicator{permission.name}",
        "Effect": "Allow",
        "Principal": principal,
        "Action": list(permission.actions),
        "Resource": resource,
    }
    conditions = {**(condition or {}), **of_principal}
    return {**statement, "Condition": conditions} if conditions else statement
