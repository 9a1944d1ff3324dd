"""Bronze Linux system events by template."""

from __future__ import annotations

from typing import Any


def test_a_process_id_may_be_missing(bronze: Any) -> None:
    data = b"""LineId,Month,Date,Time,Level,Component,PID,Content,EventId,EventTemplate\r
1,Jun,14,15:16:01,combo,sshd(pam_unix),19939,check pass; user unknown,E27,check pass; user unknown\r
2,Jun,19,04:09:11,combo,syslogd 1.4.1,,restart.,E90,restart.\r
"""
    rows = bronze("linux_structured", {"Linux_2k.log_structured.csv": data})
    assert [(r.number, r.host, r.component, r.pid, r.message, r.event, r.template) for r in rows] == [
        (1, "combo", "sshd(pam_unix)", 19939, "check pass; user unknown", "E27", "check pass; user unknown"),
        (2, "combo", "syslogd 1.4.1", None, "restart.", "E90", "restart."),
    ]
