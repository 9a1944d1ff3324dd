"""Bronze NAB anomaly windows."""

from __future__ import annotations

from typing import Any


def test_a_row_for_each_window_of_each_series(bronze: Any) -> None:
    data = b"""{
  "real/a_1.csv": [
    ["2014-02-26 13:45:00.000000", "2014-02-27 06:25:00.500000"],
    ["2014-02-30 00:00:00.000000", "2014-03-01 00:00:00.000000"]
  ],
  "real/b.csv": [],
  "c.csv": [["2014-03-01 00:00:00.000000", "2014-03-02 00:00:00.000000"]]
}
"""
    rows = bronze("nab_windows", {"combined_windows.subset.json": data})
    assert [(r.line, r.sensor, r.starts.isoformat(), r.ends.isoformat()) for r in rows] == [
        (3, "nab/real/a_1", "2014-02-26T13:45:00", "2014-02-27T06:25:00.500000"),
        (7, "nab/c", "2014-03-01T00:00:00", "2014-03-02T00:00:00"),
    ]
