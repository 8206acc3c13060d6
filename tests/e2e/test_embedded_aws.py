"""The corrections that local/emulator.py makes: without them the emulator does not do as AWS does."""

import json

from tests.e2e.world import NEAR, SOURCE, World


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


def test_tags_of_a_version_below_a_delete_marker_are_told(world: World) -> None:
    key = world.folder("nothing") + "hidden"
    version = world.put(key, b"x", Tagging="a=b")
    world.delete(key)
    told = world.s3.get_object_tagging(Bucket=SOURCE, Key=key, VersionId=version)
    assert told["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert world.is_hidden(SOURCE, key)


def test_an_upload_carries_its_tags_to_the_object(world: World) -> None:
    key = world.folder("nothing") + "parts"
    version = world.put_parts(key, [b"x"], Tagging="a=b%20c&d=")
    told = world.s3.get_object_tagging(Bucket=SOURCE, Key=key, VersionId=version)
    assert {tag["Key"]: tag["Value"] for tag in told["TagSet"]} == {"a": "b c", "d": ""}
