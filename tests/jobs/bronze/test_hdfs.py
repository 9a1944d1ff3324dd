"""Bronze HDFS messages."""

from __future__ import annotations

from typing import Any


def test_times_of_two_digits_and_the_blocks_of_a_message(bronze: Any) -> None:
    log = b"""081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38 terminating\r
081110 000000 19 WARN dfs.FSNamesystem: BLOCK* ask 10.0.0.1:50010 to delete  blk_-7 blk_38 blk_-7\r
081110 000000 19 INFO dfs.FSNamesystem: Number of transactions: 3
081131 000000 19 INFO dfs.FSNamesystem: no such day
"""
    rows = bronze("hdfs", {"HDFS_2k.log": log})
    assert [(r.time.isoformat(), r.date.isoformat(), r.level, r.host, r.component, r.thread, r.blocks) for r in rows] == [
        ("2008-11-09T20:36:15", "2008-11-09", "INFO", "hdfs", "dfs.DataNode$PacketResponder", 148, ["blk_38"]),
        ("2008-11-10T00:00:00", "2008-11-10", "WARN", "hdfs", "dfs.FSNamesystem", 19, ["blk_-7", "blk_38"]),
        ("2008-11-10T00:00:00", "2008-11-10", "INFO", "hdfs", "dfs.FSNamesystem", 19, []),
    ]
    assert rows[1].message == "BLOCK* ask 10.0.0.1:50010 to delete  blk_-7 blk_38 blk_-7"
