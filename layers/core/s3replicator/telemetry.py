"""Logs and metrics of every function; their names are spelled here only.

The metrics carry the names and dimensions of Amazon S3's replication metrics where it has one:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from s3replicator.decisions.announcements import Announcement, Event
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.outcome import Outcome, Result

SERVICE: Final = "s3-replicator"
NAMESPACE: Final = "S3Replicator"

#: Amazon S3's names
LATENCY: Final = "ReplicationLatency"
FAILED: Final = "OperationsFailedReplication"
PENDING: Final = "OperationsPendingReplication"
#: Ours
REPLICATED: Final = "OperationsReplicated"
NOT_ELIGIBLE: Final = "OperationsNotEligible"
CONFIGURATION_UNREADABLE: Final = "ConfigurationUnreadable"
RULES_COLLIDE: Final = "RulesCollide"
THRESHOLD_MISSED: Final = "ReplicationThresholdMissed"
VERSION_DELETES_HALTED: Final = "VersionDeletesHalted"
DRIFT: Final = "DriftFound"
SOURCE_UNVERSIONED: Final = "SourceUnversioned"
PASSED_OVER: Final = "ReplicasPassedOver"

_COUNTED: Final = {
    Result.REPLICATED: REPLICATED,
    Result.PARKED: FAILED,
    Result.NOT_ELIGIBLE: NOT_ELIGIBLE,
}
_LOGGED_AS_ERROR: Final = frozenset({Result.PARKED, Result.DEFERRED})
_LOGGED_AS_WARNING: Final = frozenset(
    {Result.DELAYED, Result.NOT_ELIGIBLE, Result.SUPERSEDED, Result.PASSED_OVER}
)

# Explicit names, so that importing a handler needs no environment.
logger: Final = Logger(service=SERVICE)


def report(outcomes: Iterable[Outcome], source_bucket: str) -> None:
    """A line of log per failure, one per batch, and the metrics of each rule and destination."""
    listed = list(outcomes)
    for outcome in listed:
        _log(outcome)
    counts = Counter(outcome.result for outcome in listed)
    logger.info("batch", results={result.value: count for result, count in counts.items()})
    by_rule: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in listed:
        if outcome.result in _COUNTED:
            by_rule[(outcome.destination or "-", outcome.rule or "-")].append(outcome)
    for (destination, rule), group in by_rule.items():
        _emit_for_rule(group, source_bucket, destination, rule)
    _report_halted(listed, source_bucket)
    _report_passed_over(listed, source_bucket)


def _log(outcome: Outcome) -> None:
    told: dict[str, Any] = {
        "key": outcome.key,
        "version_id": outcome.version_id,
        "destination": outcome.destination,
        "rule": outcome.rule,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "s3_request_id": outcome.request_id,
    }
    if outcome.result in _LOGGED_AS_ERROR and not outcome.busy:
        logger.error(outcome.result.value, **told)
    elif outcome.result in _LOGGED_AS_WARNING and not outcome.expected:
        logger.warning(outcome.result.value, **told)


def _emit_for_rule(group: list[Outcome], source: str, destination: str, rule: str) -> None:
    metrics = _metrics({"SourceBucket": source, "DestinationBucket": destination, "RuleId": rule})
    for outcome in group:
        metrics.add_metric(_COUNTED[outcome.result], MetricUnit.Count, 1)
        if outcome.lag is not None:
            metrics.add_metric(LATENCY, MetricUnit.Seconds, outcome.lag)
    metrics.flush_metrics()


def _report_halted(outcomes: Iterable[Outcome], source: str) -> None:
    halted = sum(outcome.reason == Reason.VERSION_DELETES_HALTED for outcome in outcomes)
    if halted:
        metrics = _metrics({"SourceBucket": source})
        metrics.add_metric(VERSION_DELETES_HALTED, MetricUnit.Count, halted)
        metrics.flush_metrics()


def _report_passed_over(outcomes: Iterable[Outcome], source: str) -> None:
    """Replicas that were written to the source, or what claims to be one, and that are not carried onward."""
    passed_over = sum(outcome.result is Result.PASSED_OVER for outcome in outcomes)
    if passed_over:
        metrics = _metrics({"SourceBucket": source})
        metrics.add_metric(PASSED_OVER, MetricUnit.Count, passed_over)
        metrics.flush_metrics()


def report_pending(source: str, pending: Mapping[str, int]) -> None:
    """How many keys have open work, by destination."""
    for destination, count in pending.items():
        metrics = _metrics({"SourceBucket": source, "DestinationBucket": destination})
        metrics.add_metric(PENDING, MetricUnit.Count, count)
        metrics.flush_metrics()


def report_announced(announcements: Iterable[Announcement], source: str) -> None:
    """How many versions are late; the other events have metrics of their own."""
    missed = sum(announcement.event is Event.MISSED_THRESHOLD for announcement in announcements)
    if missed:
        metrics = _metrics({"SourceBucket": source})
        metrics.add_metric(THRESHOLD_MISSED, MetricUnit.Count, missed)
        metrics.flush_metrics()


def report_unversioned(source: str, writes: int) -> None:
    """How often the source was written to without making a version."""
    if writes:
        logger.error("the source is not versioned", writes=writes)
        metrics = _metrics({"SourceBucket": source})
        metrics.add_metric(SOURCE_UNVERSIONED, MetricUnit.Count, writes)
        metrics.flush_metrics()


def report_drift(source: str, findings: int) -> None:
    """What a reconcile found that nobody knew of."""
    metrics = _metrics({"SourceBucket": source})
    metrics.add_metric(DRIFT, MetricUnit.Count, findings)
    metrics.flush_metrics()


def report_unreadable_configuration(problem: str) -> None:
    logger.error("configuration unreadable", problem=problem)
    metrics = _metrics({})
    metrics.add_metric(CONFIGURATION_UNREADABLE, MetricUnit.Count, 1)
    metrics.flush_metrics()


def report_colliding_rules(source: str, problem: str) -> None:
    """The configuration in force lets two keys of the source meet at a destination."""
    logger.warning("rules collide", problem=problem)
    metrics = _metrics({"SourceBucket": source})
    metrics.add_metric(RULES_COLLIDE, MetricUnit.Count, 1)
    metrics.flush_metrics()


def _metrics(dimensions: Mapping[str, str]) -> Any:
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    return metrics
