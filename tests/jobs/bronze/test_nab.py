"""Bronze NAB readings."""

from __future__ import annotations

from typing import Any


def test_the_path_is_the_sensor(bronze: Any) -> None:
    rows = bronze("nab", {"real/a_1.csv": b"timestamp,value\r\n2014-01-31 23:55:00,1.5\r\n2014-02-01 00:00:00,2\r\n"})
    assert [(r.sensor, r.time.isoformat(), r.month.isoformat(), r.value) for r in rows] == [
        ("nab/real/a_1", "2014-01-31T23:55:00", "2014-01-01", 1.5),
        ("nab/real/a_1", "2014-02-01T00:00:00", "2014-02-01", 2.0),
    ]
