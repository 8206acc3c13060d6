"""Everything a check can find wrong: its severity, its code, its sentence and what to do.

The sentences are quoted in docs/runbook.md. The codes are Amazon S3's where it has one: those of failed
replication (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html) and those
of PutBucketReplication (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
"""

import string
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions.failures import Reason
from s3replicator.decisions.findings import Check, Finding, Remedy, Severity


@dataclass(frozen=True, slots=True)
class Problem:
    """``sentence`` and ``fix`` have the names of what they are about in braces. Without ``check`` or
    ``code`` the occasion says which it is."""

    severity: Severity
    sentence: str
    fix: str
    check: Check | None = None
    code: str | None = None
    remedy: Remedy | None = None

    def at(
        self,
        subject: str,
        *,
        check: Check | None = None,
        code: str | None = None,
        resource: str = "",
        **names: str,
    ) -> Finding:
        which = self.check or check
        assert which is not None
        told = {"bucket": subject, **names}
        return Finding(
            check=which,
            subject=subject,
            severity=self.severity,
            message=self.sentence.format_map(told),
            code=self.code or code,
            fix=self.fix.format_map(told),
            remedy=self.remedy,
            resource=resource or (subject if self.remedy else ""),
        )

    @property
    def quoted(self) -> str:
        """The sentence as the runbook has it: the names of things in capitals."""
        named = [name for _, name, _, _ in string.Formatter().parse(self.sentence) if name]
        return self.sentence.format_map({name: name.upper() for name in named})


# -- the configuration

NO_CONFIGURATION: Final = Problem(
    Severity.WARNING,
    "There is no replication configuration yet: notifications wait in the queue, and are lost after 14 days.",
    "Put one in force: s3rctl config put FILE",
    Check.CONFIGURATION,
    code="ReplicationConfigurationNotFoundError",
)
UNUSABLE_CONFIGURATION: Final = Problem(
    Severity.FAILED,
    "The replication configuration cannot be used: {told}.",
    "Put another one in force: s3rctl config put FILE",
    Check.CONFIGURATION,
    code=Reason.CONFIGURATION_UNREADABLE,
)
NOT_IN_STACK: Final = Problem(
    Severity.FAILED,
    "Rule {rule} replicates to {bucket}, which is not in the stack's parameter Destinations.",
    "Deploy the stack with {bucket} in its parameter Destinations, or take the rule out.",
    Check.CONFIGURATION,
    code=Reason.DESTINATION_NOT_IN_STACK,
)
RULES_COLLIDE: Final = Problem(
    Severity.WARNING,
    "The rules in force put two keys of the source at one key there: {told}.",
    "The second of them is parked. Put rules in force whose prefixes keep them apart: s3rctl config put FILE",
    Check.COLLISIONS,
    code="InvalidRequest",
)
NOT_COMPARED: Final = Problem(
    Severity.WARNING,
    "The rules in force are too many to find out whether two keys of the source could get one key at a"
    " destination.",
    "Nothing, if their prefixes keep them apart. Two keys that meet all the same are never mixed: the second"
    " one is parked, with DestinationKeyConflict.",
    Check.COLLISIONS,
)
NOT_WIRED: Final = Problem(
    Severity.FAILED,
    "The notifications of the source are not as the stack needs them: {told}",
    "",
    Check.NOTIFICATIONS,
)
NOTIFICATIONS_UNSEEN: Final = Problem(
    Severity.WARNING,
    "Could not look at the notifications of {bucket}: {told}.",
    "Have yourself allowed s3:GetBucketNotification on the bucket, and s3:PutBucketNotification for --fix.",
    Check.NOTIFICATIONS,
)

# -- both sides

SOURCE_MISSING: Final = Problem(
    Severity.FAILED,
    "Source bucket {bucket} does not exist.",
    "Make it again, or delete the stack.",
    Check.EXISTENCE,
    code=Reason.SRC_BUCKET_NOT_FOUND,
)
DESTINATION_MISSING: Final = Problem(
    Severity.FAILED,
    "Destination bucket {bucket} does not exist.",
    "Make it again, versioned, or take it out of the rules and of the parameter Destinations:"
    " aws s3 mb s3://{bucket} --region {region}",
    Check.EXISTENCE,
    code=Reason.DST_BUCKET_NOT_FOUND,
)
SOURCE_HIDDEN: Final = Problem(
    Severity.FAILED,
    "Source bucket {bucket} exists, but the role of the function that replicates may not list it"
    " (s3:ListBucket).",
    "See what denies it: aws s3api get-bucket-policy --bucket {bucket}",
    Check.EXISTENCE,
    code=Reason.SRC_LIST_NOT_PERMITTED,
)
DESTINATION_HIDDEN: Final = Problem(
    Severity.FAILED,
    "Destination bucket {bucket} exists, but the role of the function that replicates may not list it"
    " (s3:ListBucket).",
    "If it belongs to another account, its bucket policy needs what s3rctl policy destination {bucket}"
    " prints; if not, see what denies it: aws s3api get-bucket-policy --bucket {bucket}",
    Check.EXISTENCE,
    code=Reason.DST_LIST_NOT_PERMITTED,
    remedy=Remedy.BUCKET_POLICY,
)
SOURCE_ELSEWHERE: Final = Problem(
    Severity.FAILED,
    "Source bucket {bucket} is in {region}, and the stack in {expected}.",
    "Deploy a stack there: sam deploy --region {region}",
    Check.REGION,
    code="SrcBucketInvalidRegion",
)
DESTINATION_ELSEWHERE: Final = Problem(
    Severity.FAILED,
    "Destination bucket {bucket} is in {region}, and the stack looks for it in {expected}.",
    "Deploy the stack with {bucket}:{region} in its parameter Destinations.",
    Check.REGION,
    code="DstBucketInvalidRegion",
)
OTHER_OWNER: Final = Problem(
    Severity.FAILED,
    "Rule {rule} says that {bucket} belongs to account {account}, and it does not.",
    "Write the account that owns the bucket into Destination.Account, or take another bucket.",
    Check.OWNER,
    code=Reason.DST_OWNER_MISMATCH,
)
SOURCE_UNVERSIONED: Final = Problem(
    Severity.FAILED,
    "Source bucket {bucket} has versioning {status}, and replication needs it Enabled.",
    "aws s3api put-bucket-versioning --bucket {bucket} --region {region}"
    " --versioning-configuration Status=Enabled",
    Check.VERSIONING,
    code="InvalidRequest",
)
DESTINATION_UNVERSIONED: Final = Problem(
    Severity.FAILED,
    "Destination bucket {bucket} has versioning {status}, and replication needs it Enabled.",
    "aws s3api put-bucket-versioning --bucket {bucket} --region {region}"
    " --versioning-configuration Status=Enabled",
    Check.VERSIONING,
    code=Reason.DST_BUCKET_UNVERSIONED,
)
UNSEEN: Final = Problem(
    Severity.WARNING,
    "Could not look at this setting of {bucket}: {told}.",
    "To have it checked, allow the role of the function that replicates {action} on the bucket.",
)

# -- settings that do not go together

NO_OBJECT_LOCK: Final = Problem(
    Severity.FAILED,
    "The source has Object Lock and {bucket} has not: an object with a retention or a legal hold cannot be"
    " replicated to it.",
    "Enable it, for good: aws s3api put-object-lock-configuration --bucket {bucket} --region {region}"
    " --object-lock-configuration ObjectLockEnabled=Enabled",
    Check.OBJECT_LOCK,
    code=Reason.DST_LOCK_CONFIG_MISSING,
)
LOCKED_BY_DEFAULT: Final = Problem(
    Severity.WARNING,
    "{bucket} locks every new object ({retention}) and the source has no Object Lock: a replica can neither"
    " be put in its place among the others nor be deleted before that has passed.",
    "Take the default retention off, unless that is what you want.",
    Check.OBJECT_LOCK,
)
MARKERS_MAY_CIRCLE: Final = Problem(
    Severity.WARNING,
    "Others write replicas into {bucket}, for example of {key}, and the stack has no peers: delete markers of"
    " theirs are replicated onward, and may go round for ever.",
    "Deploy with their WriterPrincipals in the parameter PeerPrincipals, or disable DeleteMarkerReplication.",
    Check.LOOPS,
)
ACLS_DISABLED: Final = Problem(
    Severity.WARNING,
    "The source has ACLs enabled and {bucket} has them disabled: changes of ACLs are not replicated to it.",
    "Say in the bucket policy of {bucket} who may read there; or disable ACLs at the source, too.",
    Check.OWNERSHIP,
)
OWNER_KEPT: Final = Problem(
    Severity.FAILED,
    "Rule {rule} gives replicas to the owner of {bucket}, but the bucket's Object Ownership setting is"
    " {ownership}: they stay with this account.",
    "aws s3api put-bucket-ownership-controls --bucket {bucket} --region {region} --ownership-controls"
    " Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]",
    Check.OWNERSHIP,
)
REPLICAS_ARE_OURS: Final = Problem(
    Severity.WARNING,
    "{bucket} belongs to another account and its Object Ownership setting is {ownership}: replicas belong to"
    " this account, and that one may not read them.",
    "Write Account and AccessControlTranslation into the rules, or have the bucket's setting changed to"
    " BucketOwnerEnforced.",
    Check.OWNERSHIP,
)
KEY_MISSING: Final = Problem(
    Severity.FAILED,
    "Rule {rule} encrypts replicas in {bucket} with {key}, which does not exist.",
    "Write the ARN of a key in {region} into Destination.EncryptionConfiguration.ReplicaKmsKeyID.",
    Check.KEY,
    code=Reason.DST_KMS_KEY_NOT_FOUND,
)
KEY_ELSEWHERE: Final = Problem(
    Severity.FAILED,
    "Rule {rule} encrypts replicas in {bucket} with {key}, and S3 takes only a key of the bucket's region,"
    " {region}.",
    "Write the ARN of a key in {region} into Destination.EncryptionConfiguration.ReplicaKmsKeyID.",
    Check.KEY,
    code=Reason.DST_KMS_KEY_NOT_FOUND,
)
KEY_UNUSABLE: Final = Problem(
    Severity.FAILED,
    "Rule {rule} encrypts replicas in {bucket} with {key}, which is {state}.",
    "Enable the key, or name another one: aws kms enable-key --key-id {key} --region {region}",
    Check.KEY,
    code=Reason.DST_KMS_KEY_INVALID_STATE,
)
KEY_UNFIT: Final = Problem(
    Severity.FAILED,
    "Rule {rule} encrypts replicas in {bucket} with {key}, which is no symmetric key for encryption"
    " ({state}).",
    "Write the ARN of a symmetric key into Destination.EncryptionConfiguration.ReplicaKmsKeyID.",
    Check.KEY,
    code=Reason.DST_KMS_KEY_INVALID_STATE,
)
REPLICATED_TWICE: Final = Problem(
    Severity.WARNING,
    "Amazon S3's own replication of {source} has enabled rules for {bucket}, too: every new version will have"
    " two replicas there.",
    "Take those rules out: aws s3api get-bucket-replication --bucket {source}",
    Check.NATIVE,
)
UPLOADS_STAY: Final = Problem(
    Severity.WARNING,
    "{bucket} has no lifecycle rule that aborts incomplete multipart uploads: a worker that dies in the wrong"
    " second can leave one behind, which costs storage for ever.",
    "Add a rule to its lifecycle configuration that aborts them after 7 days, for example.",
    Check.UPLOADS,
    remedy=Remedy.ABORT_RULE,
)
EXPIRES: Final = Problem(
    Severity.WARNING,
    "Lifecycle rule {rule} of {bucket} removes {what}: a replica that it removes is not copied again.",
    "Nothing, if that is what you want; a replica's age counts from when it was copied.",
    Check.EXPIRATION,
)

# -- the probe

DENIED_BY_POLICY: Final = Problem(
    Severity.FAILED,
    "The bucket policy of {bucket} denies {role} {action}.",
    "Except the roles of the stack from the Deny statement, by a condition on aws:PrincipalArn.",
    remedy=Remedy.EXEMPTION,
)
NOT_ALLOWED_BY_POLICY: Final = Problem(
    Severity.FAILED,
    "The bucket policy of {bucket} does not allow {role} {action}.",
    "Add to it what s3rctl policy destination {bucket} prints.",
    remedy=Remedy.BUCKET_POLICY,
)
DENIED_BY_KEY: Final = Problem(
    Severity.FAILED,
    "The key {key}, which encrypts replicas in {bucket}, does not let {role} use it ({action}).",
    "Add to its key policy what s3rctl policy key {key} prints.",
    remedy=Remedy.KEY_POLICY,
)
KEY_NOT_IN_STACK: Final = Problem(
    Severity.FAILED,
    "{role} may not use {key}, which encrypts replicas in {bucket} ({action}).",
    "Deploy the stack with the ARN of the key in its parameter ReplicaKmsKeys.",
)
DENIED_ELSEWHERE: Final = Problem(
    Severity.FAILED,
    "{role} is denied {action} at {bucket} by its {layer}.",
    "Whoever administers that policy has to allow it. If the role's own policy was changed, deploy the stack"
    " again.",
)
DENIED_SILENTLY: Final = Problem(
    Severity.FAILED,
    "S3 denied something at {bucket} without saying why: {told}.",
    "If it belongs to another account, its bucket policy needs what s3rctl policy destination {bucket}"
    " prints; if not, see what denies it: aws s3api get-bucket-policy --bucket {bucket}",
    remedy=Remedy.BUCKET_POLICY,
)
REFUSED: Final = Problem(
    Severity.FAILED,
    "S3 refused something at {bucket}: {told}.",
    "See the code in docs/runbook.md.",
)
UNANSWERED: Final = Problem(
    Severity.FAILED,
    "S3 gave no usable answer about {bucket}: {told}.",
    "Check again.",
)
READ_OTHERWISE: Final = Problem(
    Severity.FAILED,
    "A probe in {bucket} was read with other tags than it was written with.",
    "See who changes objects there: a function of the bucket's notifications, for example.",
    Check.READ,
    code=Reason.VERIFICATION_FAILED,
)
PROBE_STAYS: Final = Problem(
    Severity.FAILED,
    "The probe s3://{bucket}/{key}, version {version}, could not be deleted: {told}.",
    "Delete it: aws s3api delete-object --bucket {bucket} --region {region} --key {key} --version-id"
    " {version}",
    Check.DELETE,
)
UPLOAD_STAYS: Final = Problem(
    Severity.FAILED,
    "The upload {upload} of s3://{bucket}/{key} could not be aborted: {told}.",
    "Abort it: aws s3api abort-multipart-upload --bucket {bucket} --region {region} --key {key} --upload-id"
    " {upload}",
    Check.PARTS,
)
NOT_PROBED: Final = Problem(
    Severity.WARNING,
    "Amazon S3's own replication of {bucket} would carry a probe onward to {onward}, so none was written.",
    "Look at one object that has been replicated: s3rctl status s3://SOURCE/KEY",
    Check.WRITE,
)
PLACES_NOT_PROBED: Final = Problem(
    Severity.WARNING,
    "In {bucket} not all that is done with replicas whose keys begin with {places} was tried.",
    "Look at one such object that has been replicated: s3rctl status s3://SOURCE/KEY. A check writes at most"
    " {most} probes to a bucket, and none where a prefix leaves no room for its name.",
    Check.WRITE,
)
