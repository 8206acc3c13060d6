"""Whether a deployment can do its work is found out before anybody relies on it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mypy_boto3_s3.client import S3Client

from s3replicator.decisions import policies
from s3replicator.decisions.probe import FOLDER
from tests.e2e.test_deployment import another_stack
from tests.e2e.world import DESTINATIONS, FRAGILE, NEAR, SOURCE, World, rule, wait_until

BUCKETS = [name.partition(":")[0] for name in DESTINATIONS]
OTHER_SOURCE = "e2e-checked-source"
DENIED = "e2e-denied"


@contextmanager
def uploads_aborted(world: World) -> Iterator[None]:
    """As the README asks for on every destination."""
    rules: Any = policies.abort_rule()
    for bucket in BUCKETS:
        world.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    try:
        yield
    finally:
        for bucket in BUCKETS:
            world.s3.delete_bucket_lifecycle(Bucket=bucket)


def checked(world: World, code: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(world.s3rctl("check", "--json", code=code))
    for bucket in BUCKETS:
        listed = world.s3.list_object_versions(Bucket=bucket, Prefix=FOLDER)
        assert not listed.get("Versions")
        assert not listed.get("DeleteMarkers")
        assert not world.s3.list_multipart_uploads(Bucket=bucket, Prefix=FOLDER).get("Uploads")
    return document


def wrong(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in document["findings"] if finding["severity"] != "ok"]


def deny(world: World, bucket: str, action: str, **more: Any) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, **more}]}
    world.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def test_a_healthy_deployment_is_found_to_be_so(world: World) -> None:
    with uploads_aborted(world):
        document = checked(world)
    assert wrong(document) == []
    assert document["ok"]
    subjects = {finding["subject"] for finding in document["findings"]}
    assert subjects == {"configuration", SOURCE, *BUCKETS}
    # The table is the same, for people.
    with uploads_aborted(world):
        assert "failed" not in world.s3rctl("check")


def test_a_bucket_policy_that_denies_the_roles_is_found_and_explained(world: World) -> None:
    deny(world, FRAGILE, "s3:PutObject")
    try:
        with uploads_aborted(world):
            document = checked(world, code=1)
            [finding] = wrong(document)
            role = world.role_of("ReplicateFunctionName")
            assert (finding["subject"], finding["code"]) == (FRAGILE, "DstPutObjectNotPermitted")
            assert finding["message"] == f"The bucket policy of {FRAGILE} denies {role} s3:PutObject."
            # What it says to add is enough.
            [told] = document["documents"]
            deny(world, FRAGILE, "s3:PutObject", **told["document"])
            assert wrong(checked(world)) == []
    finally:
        world.s3.delete_bucket_policy(Bucket=FRAGILE)


@contextmanager
def buckets_of_their_own(world: World) -> Iterator[dict[str, str]]:
    """For another stack; yields its parameters."""
    for bucket in (OTHER_SOURCE, DENIED):
        world.make_bucket(bucket)
    try:
        yield {"SourceBucket": OTHER_SOURCE, "Destinations": DENIED, "DefaultRule": "Enabled"}
    finally:
        for bucket in (OTHER_SOURCE, DENIED):
            world.s3.delete_bucket_policy(Bucket=bucket)
            # No probe is left in it.
            world.s3.delete_bucket(Bucket=bucket)


def test_a_deployment_that_would_not_replicate_fails_and_says_why(world: World) -> None:
    with buckets_of_their_own(world) as parameters:
        deny(world, DENIED, "s3:PutObject")
        parameters["Destinations"] = f"{NEAR},{DENIED}"
        with another_stack(world, **parameters) as (deployment, status):
            assert status == "ROLLBACK_COMPLETE"
            [reason] = deployment.refusals("DeploymentCheck")
        assert f"{DENIED}: DstPutObjectNotPermitted: The bucket policy of {DENIED} denies" in reason
        assert "aws:PrincipalArn" in reason
        assert NEAR not in reason


def test_an_update_that_would_not_replicate_goes_back_even_if_there_is_no_good_place_to_go(
    world: World,
) -> None:
    with (
        buckets_of_their_own(world) as parameters,
        another_stack(world, **parameters) as (deployment, status),
    ):
        assert status == "CREATE_COMPLETE"
        # What it goes back to does not work any more either.
        deny(world, DENIED, "s3:PutObject")
        deployment.update(Destinations=f"{DENIED},{NEAR}")
        assert deployment.ended() == "UPDATE_ROLLBACK_COMPLETE"


# -- another account

ACCOUNT = "000000000000"
THEIRS = "222222222222"
THEIR_BUCKET = "e2e-theirs"


@contextmanager
def bucket_of_another_account(world: World) -> Iterator[S3Client]:
    """Versioned, and preferring to own what others write there; yields the rights of its owner."""
    owner: S3Client = world.client("s3", aws_access_key_id=THEIRS, aws_secret_access_key="any")
    owner.create_bucket(Bucket=THEIR_BUCKET, ObjectOwnership="BucketOwnerPreferred")
    owner.put_bucket_versioning(Bucket=THEIR_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    try:
        yield owner
    finally:
        owner.delete_bucket_policy(Bucket=THEIR_BUCKET)
        for version in owner.list_object_versions(Bucket=THEIR_BUCKET).get("Versions", []):
            owner.delete_object(Bucket=THEIR_BUCKET, Key=version["Key"], VersionId=version["VersionId"])
        owner.delete_bucket(Bucket=THEIR_BUCKET)


def test_without_a_policy_a_bucket_of_another_account_is_refused_with_the_way_to_get_one(
    world: World,
) -> None:
    with buckets_of_their_own(world) as parameters, bucket_of_another_account(world):
        parameters["Destinations"] = THEIR_BUCKET
        with another_stack(world, **parameters) as (deployment, status):
            assert status == "ROLLBACK_COMPLETE"
            [reason] = deployment.refusals("BucketSetup")
        assert f"s3rctl policy destination {THEIR_BUCKET} --account" in reason


def test_the_policy_as_it_is_printed_lets_another_accounts_bucket_be_replicated_to(world: World) -> None:
    """Scenario 211: with a tag, and owned by the account of the destination."""
    with buckets_of_their_own(world) as parameters, bucket_of_another_account(world) as owner:
        name = f"other-{world.name}"
        policy = world.s3rctl("policy", "destination", THEIR_BUCKET, "--account", ACCOUNT, "--stack", name)
        owner.put_bucket_policy(Bucket=THEIR_BUCKET, Policy=policy)
        parameters["Destinations"] = THEIR_BUCKET
        with another_stack(world, **parameters) as (deployment, status):
            assert status == "CREATE_COMPLETE"
            pair = World(deployment.deployed())
            pair.configure([owner_override(THEIR_BUCKET, THEIRS)])
            document = json.loads(pair.s3rctl("check", "--json", "--stack", name))
            assert document["ok"]

            pair.put("key", b"content", Tagging="k=v")
            wait_until(lambda: owner.list_object_versions(Bucket=THEIR_BUCKET).get("Versions"), "it arrives")
            [replica] = owner.list_object_versions(Bucket=THEIR_BUCKET)["Versions"]
            named: Any = {"Bucket": THEIR_BUCKET, "Key": "key", "VersionId": replica["VersionId"]}
            assert owner.get_object(**named)["Body"].read() == b"content"
            assert owner.get_object_tagging(**named)["TagSet"] == [{"Key": "k", "Value": "v"}]
            assert owner.get_object_acl(**named)["Grants"][0]["Permission"] == "FULL_CONTROL"

            # The roles are named one by one, now that they are there.
            exact = pair.s3rctl("policy", "destination", THEIR_BUCKET, "--stack", name)
            assert f":role/{name}-ReplicateRole-" in exact
            owner.put_bucket_policy(Bucket=THEIR_BUCKET, Policy=exact)
            assert json.loads(pair.s3rctl("check", "--json", "--stack", name))["ok"]
        pair.empty(OTHER_SOURCE)


def owner_override(bucket: str, account: str) -> dict[str, Any]:
    given = rule("", bucket)
    given["Destination"] |= {"Account": account, "AccessControlTranslation": {"Owner": "Destination"}}
    return given
