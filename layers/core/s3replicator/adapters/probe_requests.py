"""What only a check asks of a destination: to write a probe, and to read it."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from s3replicator.adapters.s3_errors import failures_of, status_of
from s3replicator.decisions.failures import Call
from s3replicator.decisions.probe import BODY, Probe
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import NULL

#: S3 takes no object with a retention without one. An object that would get a retention by default, which a
#: check did not see, is thus refused; otherwise it could not be deleted again for years.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
_WITH_RETENTION: Final = {"ChecksumAlgorithm": "CRC32"}


class S3Probes:
    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, probe: Probe, request: ReplicaRequest) -> str:
        checksum = _WITH_RETENTION if "ObjectLockMode" in request.arguments else {}
        with failures_of(Call.DST_COPY):
            answer = self._client.put_object(**_named(probe), Body=BODY, **request.arguments, **checksum)
        return str(answer.get("VersionId", NULL))

    def read(self, probe: Probe, version_id: str) -> None:
        """HEAD, as replicas are read, and where that is denied GET, whose error says why."""
        named = {**_named(probe), "VersionId": version_id}
        with failures_of(Call.DST_READ):
            try:
                self._client.head_object(**named)
            except ClientError as error:
                if status_of(error) == 403:
                    self._client.get_object(**named)["Body"].close()
                raise


def _named(probe: Probe) -> Mapping[str, str]:
    owner = {"ExpectedBucketOwner": probe.owner} if probe.owner else {}
    return {"Bucket": probe.bucket, "Key": probe.key, **owner}
