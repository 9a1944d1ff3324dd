"""Bronze authentication events."""

from __future__ import annotations

from typing import Any


def test_failures_users_and_clients(bronze: Any) -> None:
    log = b"""Mar 27 13:06:56 host1 sshd[1291]: Failed password for invalid user pi from 203.0.113.9 port 38450 ssh2
Apr  3 08:17:01 host1 CRON[26090]: pam_unix(cron:session): session opened for user root by (uid=0)
Apr  3 08:17:02 host1 sudo: $ anything
Apr 31 08:17:02 host1 sudo: no such day
"""
    rows = bronze("auth", {"auth.log": log})
    assert [(r.time.isoformat(), r.level, r.component, r.pid, r.user, r.client) for r in rows] == [
        ("2026-03-27T13:06:56", "WARN", "sshd", 1291, "pi", "203.0.113.9"),
        ("2026-04-03T08:17:01", "INFO", "CRON", 26090, "root", None),
        ("2026-04-03T08:17:02", "INFO", "sudo", None, None, None),
    ]
