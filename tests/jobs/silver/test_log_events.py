"""silver.log_events: three logs in one form."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

pytestmark = pytest.mark.timeout(300)

AT, DAY = datetime(2016, 12, 19, 16, 55, 12, 345000, tzinfo=UTC), date(2016, 12, 19)
COMMON = "row_id string, time timestamp, date date, level string, host string, component string, message string"


@pytest.fixture
def logs(spark):
    kafka = spark.createDataFrame(
        [
            (
                "k1",
                AT,
                DAY,
                "ERROR",
                "kafka0",
                "kafka.server.ReplicaFetcherThread",
                "Error for partition",
                "java.net.ConnectException\n\tat X.y",
            ),
            ("k2", AT, DAY, "INFO", "kafka0", "kafka.controller", "started", None),
        ],
        COMMON + ", exception string",
    )
    access = spark.createDataFrame([("a1", AT, DAY, "WARN", "www", "http", "GET /x 404", 404)], COMMON + ", status int")
    auth = spark.createDataFrame([("s1", AT, DAY, "WARN", "ip-10-77-20-248", "sshd", "Failed password for root", 12)], COMMON + ", pid int")
    return kafka, access, auth


def test_every_event_of_every_log_is_there_under_its_source(build, logs, shape):
    rows = build(*logs)
    assert rows.dtypes == shape
    assert sorted((r.row_id, r.source, r.level, r.component) for r in rows.collect()) == [
        ("a1", "access", "WARN", "http"),
        ("k1", "kafka", "ERROR", "kafka.server.ReplicaFetcherThread"),
        ("k2", "kafka", "INFO", "kafka.controller"),
        ("s1", "auth", "WARN", "sshd"),
    ]


def test_a_log_without_stack_traces_has_none(build, logs):
    rows = {r.row_id: r.exception for r in build(*logs).collect()}
    assert rows == {"k1": "java.net.ConnectException\n\tat X.y", "k2": None, "a1": None, "s1": None}


def test_a_log_too_few_is_an_error_and_not_a_silent_loss(build, logs):
    with pytest.raises(ValueError, match="shorter"):
        build(*logs[:2])
