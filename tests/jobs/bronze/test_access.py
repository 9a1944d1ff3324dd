"""Bronze web requests."""

from __future__ import annotations

from typing import Any


def test_requests_and_their_levels(bronze: Any) -> None:
    log = b"""203.0.113.9 - - [17/May/2015:10:05:03 +0200] "GET /a?b=%22c HTTP/1.1" 200 203023 "http://x/" " (\\"X\\")"
203.0.113.9 - ann [17/May/2015:10:05:03 +0000] "POST /a HTTP/1.1" 503 - "-" "-"
203.0.113.9 - - [17/May/2015:10:05:03 +0000] "\\x16\\x03" 400 0 "-" "-"
203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "never closed
"""
    rows = bronze("access", {"apache_logs": log, "web1/access.log": log.splitlines(keepends=True)[1]})
    assert [(r.host, r.level, r.message) for r in rows] == [
        ("web", "INFO", "200 GET /a?b=%22c HTTP/1.1"),
        ("web", "ERROR", "503 POST /a HTTP/1.1"),
        ("web", "WARN", "400 \\x16\\x03"),
        ("web1", "ERROR", "503 POST /a HTTP/1.1"),
    ]
    assert (rows[0].time.isoformat(), rows[0].path, rows[0].bytes, rows[0].user) == (
        "2015-05-17T08:05:03",
        "/a?b=%22c",
        203023,
        None,
    )
    assert (rows[1].user, rows[1].bytes, rows[1].agent, rows[2].method) == ("ann", None, None, None)
