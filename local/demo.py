"""``make demo``: the main job, told on the terminal and checked against the buckets.

Starts an embedded AWS of its own, deploys the real stack into it, and shows objects written to a source
bucket arriving in two destinations. Waits on conditions; ends with 1 if anything it claims is not so.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import quantiles
from typing import Any, Final, TypeVar

import boto3
from botocore.exceptions import ClientError

from local import server
from local.home import ROOT, Home, LocalError
from local.stack import BIN, Stack, Wanted
from local.up import up

SOURCE: Final = "demo-source"
NEAR: Final = "demo-replica"
FAR: Final = "demo-replica-eu"
MIB: Final = 1024**2

#: How long the demo waits for one thing to become so, in seconds; never too short for want of speed.
PATIENCE: Final = 600.0

T = TypeVar("T")


class NotSo(Exception):
    """Something the demo claims is not so."""


@dataclass
class Demo:
    """A deployed stack, and what has been written to its source."""

    stack: Stack
    s3: Any = field(init=False)
    written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        environment = self.stack.environment
        self.s3 = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )

    # -- the source

    def put(self, key: str, body: bytes, **attributes: Any) -> None:
        self.s3.put_object(Bucket=SOURCE, Key=key, Body=body, **attributes)
        self._remember(key)

    def put_parts(self, key: str, part: bytes, count: int, **attributes: Any) -> None:
        named = {"Bucket": SOURCE, "Key": key}
        upload = self.s3.create_multipart_upload(**named, **attributes)["UploadId"]
        done = [
            {
                "PartNumber": number,
                "ETag": self.s3.upload_part(**named, UploadId=upload, PartNumber=number, Body=part)["ETag"],
            }
            for number in range(1, count + 1)
        ]
        self.s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": done})
        self._remember(key)

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=SOURCE, Key=key)

    def _remember(self, key: str) -> None:
        if key not in self.written:
            self.written.append(key)

    # -- the destinations

    def head(self, bucket: str, key: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return None
            raise
        return answer

    def body(self, bucket: str, key: str) -> bytes | None:
        if self.head(bucket, key) is None:
            return None
        body: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def versions(self, bucket: str, key: str) -> int:
        answer = self.s3.list_object_versions(Bucket=bucket, Prefix=key)
        return sum(version["Key"] == key for version in answer.get("Versions", []))

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        tags = self.s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    # -- the operator

    def s3rctl(self, *arguments: str) -> str:
        """What the real tool prints."""
        ended = subprocess.run(
            [str(BIN / "s3rctl"), *arguments],
            env={**os.environ, **self.stack.environment, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip()
            raise NotSo(f"`s3rctl {' '.join(arguments)}` ends with {ended.returncode}: {said}")
        return ended.stdout

    def show(self, *arguments: str) -> None:
        print(f"\n  $ s3rctl {' '.join(arguments)}")
        for line in self.s3rctl(*arguments).splitlines():
            print(f"    {line}")
        print()

    def status(self, key: str) -> list[dict[str, Any]]:
        document = json.loads(self.s3rctl("status", f"s3://{SOURCE}/{key}", "--json"))
        versions: list[dict[str, Any]] = document["versions"]
        return versions

    def statuses(self, key: str) -> list[str]:
        """The status of each version at each destination."""
        return [d["status"] for version in self.status(key) for d in version["destinations"]]

    def parked(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = json.loads(self.s3rctl("parked", "list", "--json"))["messages"]
        return messages

    @contextmanager
    def denied(self, bucket: str, prefix: str) -> Iterator[None]:
        """A destination that refuses a prefix, as a bucket policy of another team might."""
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/{prefix}*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        try:
            yield
        finally:
            self.s3.delete_bucket_policy(Bucket=bucket)

    @contextmanager
    def events_withheld(self) -> Iterator[None]:
        """Nobody is told of what happens meanwhile."""
        kept = self.s3.get_bucket_notification_configuration(Bucket=SOURCE)
        del kept["ResponseMetadata"]
        self.s3.put_bucket_notification_configuration(Bucket=SOURCE, NotificationConfiguration={})
        try:
            yield
        finally:
            self.s3.put_bucket_notification_configuration(Bucket=SOURCE, NotificationConfiguration=kept)


# ------------------------------------------------------------------------------------------- telling


def chapter(title: str) -> None:
    print(f"\n{title}")


def claim(what: str, so: bool) -> None:
    if not so:
        raise NotSo(what)
    print(f"  ok  {what}")


def await_claim(what: str, condition: Callable[[], T]) -> T:
    """Wait until it is so."""
    begun = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - begun > PATIENCE:
            raise NotSo(f"{what} (not within {PATIENCE:.0f} s)")
        time.sleep(0.05)
    print(f"  ok  {what}  ({time.monotonic() - begun:.1f} s)")
    return found


def await_at_both(what: str, condition: Callable[[str], object]) -> None:
    for bucket in (NEAR, FAR):
        await_claim(f"{what} {bucket}", partial(condition, bucket))


# ----------------------------------------------------------------------------------------- the story


def new_objects(demo: Demo) -> None:
    chapter("1. New objects, whatever their names, at both destinations")
    bodies = {
        "reports/2026 Q3.csv": b"a,b\n1,2\n",
        "reports/a+b%2Bc?#.txt": b"awkward",
        "reports/\u00fcn\u00ef/\u2603.txt": b"snow",
        "reports/empty": b"",
    }
    for key, body in bodies.items():
        demo.put(key, body)
    await_at_both(
        f"{len(bodies)} objects arrive, byte for byte, in",
        lambda bucket: all(demo.body(bucket, key) == body for key, body in bodies.items()),
    )


def attributes(demo: Demo) -> None:
    chapter("2. Metadata, tags and headers come along")
    demo.put(
        "photos/cat.jpg",
        b"\xff\xd8\xff",
        ContentType="image/jpeg",
        CacheControl="max-age=3600",
        ContentDisposition='attachment; filename="cat.jpg"',
        Metadata={"camera": "pinhole"},
        Tagging="project=zoo&public=yes",
        StorageClass="STANDARD_IA",
    )
    await_claim(
        "the object arrives in both", lambda: all(demo.head(b, "photos/cat.jpg") for b in (NEAR, FAR))
    )
    for bucket in (NEAR, FAR):
        replica = demo.head(bucket, "photos/cat.jpg") or {}
        kept = ("image/jpeg", "max-age=3600", 'attachment; filename="cat.jpg"', "STANDARD_IA")
        found = tuple(
            replica.get(name)
            for name in ("ContentType", "CacheControl", "ContentDisposition", "StorageClass")
        )
        claim(f"{bucket}: headers and storage class are the source's", found == kept)
        claim(f"{bucket}: so is the metadata", replica["Metadata"].get("camera") == "pinhole")
        tags = demo.tags(bucket, "photos/cat.jpg")
        claim(f"{bucket}: so are the tags", tags == {"project": "zoo", "public": "yes"})


def _is_current(demo: Demo, key: str, body: bytes, bucket: str) -> bool:
    return demo.body(bucket, key) == body


def versions(demo: Demo) -> None:
    chapter("3. New versions of a key, in their order")
    for number in range(1, 4):
        body = f"version {number}".encode()
        demo.put("notes.txt", body)
        await_at_both(f"version {number} is current in", partial(_is_current, demo, "notes.txt", body))
    claim("each destination has three versions", all(demo.versions(b, "notes.txt") == 3 for b in (NEAR, FAR)))


def large_object(demo: Demo) -> None:
    chapter("4. An object too large for one request: copied in parts, by the large lane")
    demo.put_parts("backups/disk.img", bytes(20 * MIB), 8, Metadata={"host": "db1"}, Tagging="keep=1")
    await_at_both("160 MiB arrive in", lambda bucket: demo.head(bucket, "backups/disk.img"))
    for bucket in (NEAR, FAR):
        replica = demo.head(bucket, "backups/disk.img") or {}
        same = replica["ContentLength"] == 160 * MIB and replica["Metadata"]["host"] == "db1"
        tags = demo.tags(bucket, "backups/disk.img")
        claim(f"{bucket}: size, metadata and tags are right", same and tags == {"keep": "1"})
    uploads = [demo.s3.list_multipart_uploads(Bucket=b).get("Uploads", []) for b in (NEAR, FAR)]
    claim("no upload is left open", uploads == [[], []])


def delete_marker(demo: Demo) -> None:
    chapter("5. A deleted object is hidden, and its versions stay")
    demo.delete("notes.txt")
    await_at_both("notes.txt is gone from", lambda bucket: demo.head(bucket, "notes.txt") is None)
    claim("its three versions are still there", all(demo.versions(b, "notes.txt") == 3 for b in (NEAR, FAR)))


def denied_and_cured(demo: Demo) -> None:
    chapter("6. A destination refuses: parked with the reason, cured, sent round again")
    key = "denied/contract.pdf"
    with demo.denied(FAR, "denied/"):
        demo.put(key, b"signed")
        await_claim(f"it arrives in {NEAR} all the same", lambda: demo.body(NEAR, key) == b"signed")
        await_claim(
            f"at {FAR} it is FAILED: DstPutObjectNotPermitted",
            lambda: (
                "DstPutObjectNotPermitted"
                in [d.get("reason") for v in demo.status(key) for d in v["destinations"]]
            ),
        )
        claim(f"and it is not in {FAR}", demo.head(FAR, key) is None)
        await_claim("its message is parked", demo.parked)
        demo.show("parked", "list")
    print("  The bucket policy is mended; the operator sends what is parked round again:")
    demo.show("parked", "retry", "--all", "--yes")
    await_claim(f"it arrives in {FAR}", lambda: demo.body(FAR, key) == b"signed")
    claim("nothing is parked any more", not demo.parked())
    claim(f"{NEAR} was left alone: it has one version", demo.versions(NEAR, key) == 1)
    demo.show("status", f"s3://{SOURCE}/{key}")


def existing_objects(demo: Demo) -> None:
    chapter("7. Objects that were there before anybody listened: a backfill")
    keys = [f"archive/{year}/{month:02}.csv" for year in (2024, 2025) for month in range(1, 13)]
    with demo.events_withheld():
        for key in keys:
            demo.s3.put_object(Bucket=SOURCE, Key=key, Body=b"first")
            demo.s3.put_object(Bucket=SOURCE, Key=key, Body=b"corrected")
        demo.s3.delete_object(Bucket=SOURCE, Key=keys[0])
    claim(f"none of the {len(keys)} is at a destination", not any(demo.head(b, keys[1]) for b in (NEAR, FAR)))
    demo.show("backfill", "start", "--id", "demo", "--prefix", "archive/", "--yes")
    demo.show("backfill", "watch", "demo")
    for bucket in (NEAR, FAR):
        there = all(demo.body(bucket, key) == b"corrected" for key in keys[1:])
        claim(f"{bucket}: every key has its newest version", there and demo.head(bucket, keys[0]) is None)
        claim(f"{bucket}: and the older one below it", all(demo.versions(bucket, key) == 2 for key in keys))
    demo.show("backfill", "report", "demo")


def drift(demo: Demo) -> None:
    chapter("8. An event is lost, and a replica removed by hand: a reconcile finds both")
    missed, removed = "archive/missed.csv", "archive/2025/12.csv"
    with demo.events_withheld():
        demo.s3.put_object(Bucket=SOURCE, Key=missed, Body=b"missed")
    replica = (demo.head(NEAR, removed) or {})["VersionId"]
    demo.s3.delete_object(Bucket=NEAR, Key=removed, VersionId=replica)

    demo.show("reconcile", "start", "--id", "demo-drift", "--prefix", "archive/", "--yes")
    demo.show("reconcile", "watch", "demo-drift")
    for bucket in (NEAR, FAR):
        claim(f"{bucket}: what was missed is there", demo.body(bucket, missed) == b"missed")
    claim(f"{NEAR}: what was removed is told of, and left", demo.versions(NEAR, removed) == 1)

    print("  A lifecycle rule may have removed it, so it comes back only if asked for:")
    asked = ("--id", "demo-restore", "--prefix", "archive/", "--restore-lost")
    demo.show("reconcile", "start", *asked, "--yes")
    demo.show("reconcile", "watch", "demo-restore")
    claim(f"{NEAR}: it is back", demo.body(NEAR, removed) == b"corrected")


def summary(demo: Demo) -> None:
    chapter("What arrived")
    rows: list[tuple[str, ...]] = [("key", "version", "destination", "status", "lag")]
    lags: list[float] = []
    for key in demo.written:
        for version in demo.status(key):
            for at in version["destinations"]:
                lag = at.get("lagSeconds")
                if lag is not None:
                    lags.append(lag)
                rows.append(
                    (
                        key,
                        version["versionId"][:8],
                        at["destination"],
                        at["status"],
                        "" if lag is None else f"{lag:.2f} s",
                    )
                )
    _print_table(rows)
    claim("every version is COMPLETED at both destinations", {row[3] for row in rows[1:]} == {"COMPLETED"})
    cuts = quantiles(lags, n=100, method="inclusive")
    print(f"\n  lag, from the event to the record of the replica: p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s")
    print("  (cold starts, and the wait for the operator in 6, included)")


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


STORY: Final = (
    new_objects,
    attributes,
    versions,
    large_object,
    delete_marker,
    denied_and_cured,
    existing_objects,
    drift,
    summary,
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--port", type=int, help="default: a free one")
    given = parser.parse_args(arguments)
    home = Home(ROOT / ".local/demo")
    begun = time.monotonic()
    print("s3-replicator: the real template, deployed into an AWS that runs on this machine\n")
    server.stop(home)  # what an interrupted demo has left behind
    try:
        wanted = Wanted(source=SOURCE, destinations=(NEAR, f"{FAR}:eu-west-1"))
        demo = Demo(up(home, wanted, given.port or server.free_port()))
        print(f"  {SOURCE} (us-east-1)  ->  {NEAR} (us-east-1), {FAR} (eu-west-1)")
        for part in STORY:
            part(demo)
    except (NotSo, LocalError) as problem:
        print(f"\nNOT SO: {problem}", file=sys.stderr)
        print(f"The emulator's log is {home.server_log.relative_to(ROOT)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        server.stop(home)
    print(f"\nAll of it is so. {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
