"""Bronze Linux system events."""

from __future__ import annotations

from typing import Any


def test_programs_with_versions_and_brackets_and_the_year_of_a_file(bronze: Any) -> None:
    log = b"""Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 rhost=203.0.113.4 \r
Jun 19 04:09:11 combo syslogd 1.4.1: restart.\r
Jul  7 08:06:15 combo  -- root[2421]: ROOT LOGIN ON tty2\r
Jul 27 14:41:59 combo kernel: audit(1122475266.4294965305:0): initialized"""
    rows = bronze("linux", {"Linux_2k.log": log, "gate_20260105.log": b"Dec 31 23:59:59 gate cron[7]: bye\n"})
    assert [(r.time.isoformat(), r.level, r.host, r.component, r.pid) for r in rows] == [
        ("2005-06-14T15:16:01", "WARN", "combo", "sshd(pam_unix)", 19939),
        ("2005-06-19T04:09:11", "INFO", "combo", "syslogd 1.4.1", None),
        ("2005-07-07T08:06:15", "INFO", "combo", "-- root", 2421),
        ("2005-07-27T14:41:59", "INFO", "combo", "kernel", None),
        ("2025-12-31T23:59:59", "INFO", "gate", "cron", 7),
    ]
    assert [r.message for r in rows][2:4] == ["ROOT LOGIN ON tty2", "audit(1122475266.4294965305:0): initialized"]
