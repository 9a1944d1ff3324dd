"""Bronze HDFS messages by template."""

from __future__ import annotations

from typing import Any


def test_a_time_out_of_two_columns(bronze: Any) -> None:
    data = b"""LineId,Date,Time,Pid,Level,Component,Content,EventId,EventTemplate\r
1,081109,203615,148,INFO,dfs.DataNode,Served block blk_1,E1,Served block blk_<*>\r
2,081231,000000,19,WARN,dfs.FSNamesystem,"a, b",E2,"a, <*>"\r
"""
    rows = bronze("hdfs_structured", {"HDFS_2k.log_structured.csv": data})
    assert [(r.number, r.time.isoformat(), r.level, r.component, r.thread, r.message, r.event, r.template) for r in rows] == [
        (1, "2008-11-09T20:36:15", "INFO", "dfs.DataNode", 148, "Served block blk_1", "E1", "Served block blk_<*>"),
        (2, "2008-12-31T00:00:00", "WARN", "dfs.FSNamesystem", 19, "a, b", "E2", "a, <*>"),
    ]
