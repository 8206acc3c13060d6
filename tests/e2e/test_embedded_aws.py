"""The corrections that local/emulator.py makes: without them the emulator does not do as AWS does."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.world import NEAR, SOURCE, Record, World, wait_until

TRUSTING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
ALLOWING = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def test_the_loopback_counts_as_tls(world: World) -> None:
    """The queues' own policies refuse everything else."""
    url = world.stack.outputs["ParkedQueueUrl"]
    policy = json.loads(
        world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    )
    [only_tls] = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    assert only_tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    world.sqs.send_message(QueueUrl=url, MessageBody="{}")


def test_numbers_of_event_sources_are_numbers(world: World) -> None:
    [mapping] = world.functions.list_event_source_mappings(
        FunctionName=world.stack.outputs["ReplicateFunctionName"]
    )["EventSourceMappings"]
    assert mapping["BatchSize"] == 10
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_a_role_that_may_write_all_keys_may_write_those_with_line_breaks(world: World) -> None:
    key = world.folder("one") + "two\nlines"
    world.arrives(NEAR, key, world.put(key, b"x"))


def test_giving_back_several_messages_needs_no_action_of_its_own(world: World) -> None:
    role = world.role_of("ReplicateFunctionName")
    [name] = world.iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = json.dumps(world.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
    assert "sqs:ChangeMessageVisibility" in policy
    assert "Batch" not in policy


def test_a_policy_knows_a_function_by_its_role(world: World) -> None:
    """Of this account by a condition, of another by its name: a bucket of theirs, and a copy into it."""
    owner = world.client("s3", aws_access_key_id="333333333333", aws_secret_access_key="any")
    bucket = f"theirs-{world.name}"
    owner.create_bucket(Bucket=bucket)
    role = world.iam.create_role(RoleName=f"guest-{world.name}", AssumeRolePolicyDocument=TRUSTING)["Role"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWING]})
    world.iam.put_role_policy(RoleName=role["RoleName"], PolicyName="all", PolicyDocument=policy)
    session = world.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")["Credentials"]
    guest = world.client(
        "s3",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    copied = {"Bucket": SOURCE, "Key": world.folder("lent") + "key"}
    copied["VersionId"] = world.put(copied["Key"], b"x", Tagging="k=v")

    def may_copy(**statement: Any) -> bool:
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*", **statement}
        owner.put_bucket_policy(
            Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        )
        try:
            guest.copy_object(Bucket=bucket, Key="key", CopySource=copied)
        except ClientError as error:
            return error.response["Error"]["Code"] != "AccessDenied"
        return True

    root = {"AWS": "arn:aws:iam::000000000000:root"}
    assert may_copy(Principal={"AWS": role["Arn"]})
    assert may_copy(Principal=root, Condition={"ArnLike": {"aws:PrincipalArn": role["Arn"]}})
    assert not may_copy(Principal=root, Condition={"ArnLike": {"aws:PrincipalArn": f"{role['Arn']}-other"}})
    assert not may_copy(Principal={"AWS": "arn:aws:iam::000000000000:role/another"})
    tags = owner.get_object_tagging(Bucket=bucket, Key="key")["TagSet"]
    assert tags == [{"Key": "k", "Value": "v"}]
    world.iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="all")
    world.iam.delete_role(RoleName=role["RoleName"])


def test_tags_and_acls_of_a_version_below_a_delete_marker_are_told_and_changed(world: World) -> None:
    bucket = make_bucket_with_acls(world)
    put = world.s3.put_object(Bucket=bucket, Key="hidden", Tagging="a=b")
    world.s3.delete_object(Bucket=bucket, Key="hidden")
    named: Any = {"Bucket": bucket, "Key": "hidden", "VersionId": put["VersionId"]}
    assert world.s3.get_object_tagging(**named)["TagSet"] == [{"Key": "a", "Value": "b"}]
    world.s3.put_object_tagging(**named, Tagging={"TagSet": [{"Key": "c", "Value": "d"}]})
    assert world.s3.get_object_tagging(**named)["TagSet"] == [{"Key": "c", "Value": "d"}]
    world.s3.delete_object_tagging(**named)
    assert world.s3.get_object_tagging(**named)["TagSet"] == []
    world.s3.put_object_acl(**named, GrantRead='uri="http://acs.amazonaws.com/groups/s3/LogDelivery"')
    [grant] = world.s3.get_object_acl(**named)["Grants"]
    assert grant["Permission"] == "READ"
    assert world.is_hidden(bucket, "hidden")


def make_bucket_with_acls(world: World) -> str:
    bucket = f"acls-{world.name}"
    world.make_bucket(bucket)
    world.s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    return bucket


def test_an_upload_carries_its_tags_to_the_object(world: World) -> None:
    key = world.folder("nothing") + "parts"
    version = world.put_parts(key, [b"x"], Tagging="a=b%20c&d=")
    told = world.s3.get_object_tagging(Bucket=SOURCE, Key=key, VersionId=version)
    assert {tag["Key"]: tag["Value"] for tag in told["TagSet"]} == {"a": "b c", "d": ""}


# -- records


class Listener:
    """Takes the records of a bucket."""

    def __init__(self, world: World, bucket: str) -> None:
        self.sqs = world.sqs
        self.url = self.sqs.create_queue(QueueName=f"{bucket}-{world.name}")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sending = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [sending]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        events: Any = [
            "s3:ObjectCreated:*",
            "s3:ObjectRemoved:*",
            "s3:ObjectTagging:*",
            "s3:ObjectAcl:Put",
            "s3:ObjectRetention:Put",
            "s3:ObjectAnnotation:*",
        ]
        world.s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": events}]},
        )

    def next_record(self) -> Record:
        """Wait for it; what S3 sends as a test is none."""

        def record() -> Record | None:
            for message in self.sqs.receive_message(QueueUrl=self.url).get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                records: list[Record] = json.loads(message["Body"]).get("Records", [])
                if records:
                    return records[0]
            return None

        found = wait_until(record, "S3 has sent a record")
        assert found is not None
        return found


def principal_of(record: Record) -> str:
    return str(record["userIdentity"]["principalId"])


def test_changed_tags_and_acls_are_announced_without_a_sequencer(world: World) -> None:
    bucket = make_bucket_with_acls(world)
    listener = Listener(world, bucket)
    named: Any = {"Bucket": bucket, "Key": "a b"}
    first = world.s3.put_object(**named, Body=b"x")["VersionId"]
    second = world.s3.put_object(**named, Body=b"xyz")["VersionId"]
    assert {listener.next_record()["s3"]["object"]["versionId"] for _ in range(2)} == {first, second}

    def announced(event: str, version: str, size: int) -> None:
        record = listener.next_record()
        told = record["s3"]["object"]
        assert record["eventName"] == event
        assert (told["key"], told["versionId"], told["size"]) == ("a+b", version, size)
        assert "sequencer" not in told

    world.s3.put_object_tagging(**named, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    announced("ObjectTagging:Put", second, 3)
    world.s3.delete_object_tagging(**named, VersionId=first)
    announced("ObjectTagging:Delete", first, 1)
    world.s3.put_object_acl(**named, VersionId=first, ACL="bucket-owner-read")
    announced("ObjectAcl:Put", first, 1)
    world.s3.put_object_acl(**named, VersionId=first, ACL="bucket-owner-read")  # changes nothing
    world.s3.put_object_acl(**named, ACL="bucket-owner-read")
    announced("ObjectAcl:Put", second, 3)


def test_changed_retentions_and_annotations_are_announced_without_a_sequencer(world: World) -> None:
    bucket = f"heard-{world.name}"
    world.make_bucket(bucket, ObjectLockEnabledForBucket=True)
    listener = Listener(world, bucket)
    named: Any = {"Bucket": bucket, "Key": "key"}
    version = world.s3.put_object(**named, Body=b"x")["VersionId"]
    assert listener.next_record()["eventName"] == "ObjectCreated:Put"

    def announced(event: str) -> None:
        record = listener.next_record()
        assert record["eventName"] == event
        assert record["s3"]["object"]["versionId"] == version
        assert "sequencer" not in record["s3"]["object"]

    world.s3.put_object_annotation(**named, AnnotationName="caption", AnnotationPayload=b"a flower")
    announced("ObjectAnnotation:Put")
    world.s3.delete_object_annotation(**named, AnnotationName="caption")
    announced("ObjectAnnotation:Delete")
    until = datetime.now(UTC) + timedelta(days=1)
    world.s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    announced("ObjectRetention:Put")


def test_eventbridge_is_told_of_versions_and_of_changed_tags_and_acls(world: World) -> None:
    bucket = make_bucket_with_acls(world)
    queue = world.sqs.create_queue(QueueName=f"bridged-{world.name}")["QueueUrl"]
    attributes = world.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events, rule = world.client("events"), f"bridged-{world.name}"
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": attributes["QueueArn"]}])
    world.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )

    def announced(kind: str, version: str, **detail: str) -> None:
        def event() -> Record | None:
            for message in world.sqs.receive_message(QueueUrl=queue).get("Messages", []):
                world.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                found: Record = json.loads(message["Body"])
                return found
            return None

        told = wait_until(event, "S3 has told EventBridge")
        assert told is not None
        about = told["detail"]["object"]
        assert told["detail-type"] == kind
        assert (about["key"], about["version-id"]) == ("a b", version)
        assert ("sequencer" in about) is ("reason" in detail)
        assert {name: told["detail"].get(name) for name in ("reason", "deletion-type")} == {
            "reason": detail.get("reason"),
            "deletion-type": detail.get("deletion"),
        }

    named: Any = {"Bucket": bucket, "Key": "a b"}
    version = world.s3.put_object(**named, Body=b"x")["VersionId"]
    announced("Object Created", version, reason="PutObject")
    world.s3.put_object_tagging(**named, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    announced("Object Tags Added", version)
    world.s3.delete_object_tagging(**named)
    announced("Object Tags Deleted", version)
    world.s3.put_object_acl(**named, ACL="bucket-owner-read")
    announced("Object ACL Updated", version)
    # Of annotations S3 documents no event here.
    world.s3.put_object_annotation(**named, AnnotationName="caption", AnnotationPayload=b"a flower")
    marker = world.s3.delete_object(**named)["VersionId"]
    announced("Object Deleted", marker, reason="DeleteObject", deletion="Delete Marker Created")
    world.s3.delete_object(**named, VersionId=version)
    announced("Object Deleted", version, reason="DeleteObject", deletion="Permanently Deleted")


def test_every_delete_marker_is_announced(world: World) -> None:
    bucket = f"heard-{world.name}"
    world.make_bucket(bucket)
    listener = Listener(world, bucket)
    for _ in range(2):
        marker = world.s3.delete_object(Bucket=bucket, Key="never")["VersionId"]
        record = listener.next_record()
        assert record["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
        assert record["s3"]["object"]["versionId"] == marker
        assert record["s3"]["object"]["sequencer"]
    world.s3.put_object(Bucket=bucket, Key="there")
    assert listener.next_record()["eventName"] == "ObjectCreated:Put"
    world.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "there"}, {"Key": "not there"}]})
    told = {listener.next_record()["s3"]["object"]["key"] for _ in range(2)}
    assert told == {"there", "not+there"}


def test_records_name_users_by_their_ids(world: World) -> None:
    bucket = f"heard-{world.name}"
    world.make_bucket(bucket)
    listener = Listener(world, bucket)
    world.s3.put_object(Bucket=bucket, Key="by root")
    account = world.client("sts").get_caller_identity()["Account"]
    assert principal_of(listener.next_record()) == f"AWS:{account}"

    user = world.iam.create_user(UserName=world.name)["User"]
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    world.iam.put_user_policy(UserName=world.name, PolicyName="put", PolicyDocument=policy)
    key = world.iam.create_access_key(UserName=world.name)["AccessKey"]
    s3 = world.client(
        "s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    s3.put_object(Bucket=bucket, Key="by a user")
    assert principal_of(listener.next_record()) == f"AWS:{user['UserId']}"


def test_records_name_a_function_by_the_id_of_its_role(world: World) -> None:
    listener = Listener(world, NEAR)
    key = world.folder("one") + "x"
    world.arrives(NEAR, key, world.put(key))
    record = listener.next_record()
    world.s3.put_bucket_notification_configuration(Bucket=NEAR, NotificationConfiguration={})
    role = world.iam.get_role(RoleName=world.role_of("ReplicateFunctionName"))["Role"]["RoleId"]
    assert role.startswith("AROA")
    assert principal_of(record) == f"AWS:{role}:{world.stack.outputs['ReplicateFunctionName']}"


# -- object lock and storage class


def test_a_copy_has_the_lock_and_the_class_of_its_own_headers(world: World) -> None:
    bucket = f"locked-{world.name}"
    world.make_bucket(bucket, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    lock: Any = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    hold: Any = {"ObjectLockLegalHoldStatus": "ON"}
    source = world.s3.put_object(Bucket=bucket, Key="source", StorageClass="STANDARD_IA", **lock, **hold)
    copied_from: Any = {"Bucket": bucket, "Key": "source", "VersionId": source["VersionId"]}

    world.s3.copy_object(Bucket=bucket, Key="bare", CopySource=copied_from)
    bare = world.s3.head_object(Bucket=bucket, Key="bare")
    assert not {"StorageClass", "ObjectLockMode", "ObjectLockLegalHoldStatus"} & bare.keys()

    later: Any = {**lock, "ObjectLockRetainUntilDate": until + timedelta(days=1)}
    world.s3.copy_object(Bucket=bucket, Key="own", CopySource=copied_from, StorageClass="GLACIER_IR", **later)
    own = world.s3.head_object(Bucket=bucket, Key="own")
    assert own["StorageClass"] == "GLACIER_IR"
    assert own["ObjectLockMode"] == "GOVERNANCE"
    assert own["ObjectLockRetainUntilDate"] == until + timedelta(days=1)
    assert "ObjectLockLegalHoldStatus" not in own


def test_an_upload_carries_its_lock_to_the_object(world: World) -> None:
    bucket = f"locked-{world.name}"
    world.make_bucket(bucket, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    named: Any = {"Bucket": bucket, "Key": "parts"}
    upload = world.s3.create_multipart_upload(
        **named,
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
        ObjectLockLegalHoldStatus="ON",
    )["UploadId"]
    etag = world.s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    world.s3.complete_multipart_upload(
        **named, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    told = world.s3.head_object(**named)
    assert (told["ObjectLockMode"], told["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)
    assert told["ObjectLockLegalHoldStatus"] == "ON"


# -- Amazon's own replication


def test_native_replicas_have_the_ids_of_their_sources(world: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html"""
    source, replicas = f"native-{world.name}", f"native-replicas-{world.name}"
    for bucket in (source, replicas):
        world.make_bucket(bucket)
    rule: Any = {
        "ID": "all",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{replicas}"},
    }
    role = "arn:aws:iam::000000000000:role/native"
    world.s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": [rule]})
    ids = [world.s3.put_object(Bucket=source, Key="key")["VersionId"] for _ in range(2)]
    copied: Any = {"Bucket": source, "Key": "key", "VersionId": ids[0]}
    ids.append(world.s3.copy_object(Bucket=source, Key="key", CopySource=copied)["VersionId"])
    for bucket, status in ((source, "COMPLETED"), (replicas, "REPLICA")):
        assert [version.version_id for version in world.versions(bucket, "key")] == ids[::-1]
        told = [world.s3.head_object(Bucket=bucket, Key="key", VersionId=each) for each in ids]
        assert {each["ReplicationStatus"] for each in told} == {status}
