"""Bronze Kafka events."""

from __future__ import annotations

from typing import Any


def test_events_with_traces_settings_and_loggers(bronze: Any) -> None:
    log = b"""[2016-12-19 16:31:47,999] TRACE begins (state.change.logger)
[2016-12-19 16:31:48,025] ERROR broke (kafka.x) twice (kafka.log.Log)
java.io.IOException: gone
\tat a.b(C.java:1)
[2016-12-19 16:31:49,000] INFO KafkaConfig values:\x20
\tbroker.id = 0
 (kafka.server.KafkaConfig)
[2016-12-19 16:31:50,000] WARN no logger
"""
    rows = bronze("kafka", {"kafka0/state-change.log.2016-12-19-16": log, "kafka1/server.log": b""})
    assert [(r.level, r.severity, r.component, r.message) for r in rows] == [
        ("DEBUG", "TRACE", "state.change.logger", "begins"),
        ("ERROR", "ERROR", "kafka.log.Log", "broke (kafka.x) twice"),
        ("INFO", "INFO", "kafka.server.KafkaConfig", "KafkaConfig values: \n\tbroker.id = 0"),
        ("WARN", "WARN", "state-change", "no logger"),
    ]
    assert [r.exception for r in rows] == [None, "java.io.IOException: gone\n\tat a.b(C.java:1)", None, None]
    assert {(r.host, r.date.isoformat()) for r in rows} == {("kafka0", "2016-12-19")}
    assert rows[0].time.isoformat() == "2016-12-19T16:31:47.999000"
