"""Bronze Blue Gene/L messages by template."""

from __future__ import annotations

from typing import Any

HEADER = b"LineId,Label,Timestamp,Date,Node,Time,NodeRepeat,Type,Component,Level,Content,EventId,EventTemplate\r\n"


def test_alerts_and_their_templates(bronze: Any) -> None:
    data = (
        HEADER
        + b"""1,-,1117838570,2005.06.03,R02,2005-06-03-15.42.50.675872,R02,RAS,KERNEL,INFO,"a, b 7",E77,"a, b <*>"\r
2,APPREAD,1130662800,2005.10.30,R03,2005-10-30-01.00.00.000001,R03,RAS,APP,FATAL,failed,E5,failed\r
"""
    )
    rows = bronze("bgl_structured", {"BGL_2k.log_structured.csv": data})
    assert [(r.number, r.time.isoformat(), r.label, r.alert, r.host, r.severity, r.message, r.event, r.template) for r in rows] == [
        (1, "2005-06-03T22:42:50", None, False, "R02", "INFO", "a, b 7", "E77", "a, b <*>"),
        (2, "2005-10-30T09:00:00", "APPREAD", True, "R03", "FATAL", "failed", "E5", "failed"),
    ]
