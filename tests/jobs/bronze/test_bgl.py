"""Bronze Blue Gene/L messages."""

from __future__ import annotations

from typing import Any


def test_alerts_and_times_whose_seconds_are_told_twice(bronze: Any) -> None:
    log = b"""- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO instruction cache parity error corrected\r
APPREAD 1130662800 2005.10.30 R03-M0 2005-10-30-01.00.00.000001 R03-M0 NULL APP SEVERE ciod: failed to read\r
- 1130666400 2005.10.30 R03-M0 2005-10-30-01.00.00.000001 R03-M0 RAS MMCS WARNING \r
- 113066640x 2005.10.30 R03-M0 2005-10-30-01.00.00.000001 R03-M0 RAS MMCS WARNING no seconds
- 1136301189 2006.01.03 R07-M0 2006-01-03-07.13.09.127918 R07-M0 RAS KERNEL FATAL the end"""
    rows = bronze("bgl", {"BGL_2k.log": log})
    assert [(r.time.isoformat(), r.level, r.severity, r.component, r.type, r.label, r.alert) for r in rows] == [
        ("2005-06-03T22:42:50.675872", "INFO", "INFO", "KERNEL", "RAS", None, False),
        ("2005-10-30T09:00:00.000001", "ERROR", "SEVERE", "APP", None, "APPREAD", True),  # clocks showed this hour twice
        ("2005-10-30T10:00:00.000001", "WARN", "WARNING", "MMCS", "RAS", None, False),
        ("2006-01-03T15:13:09.127918", "FATAL", "FATAL", "KERNEL", "RAS", None, False),
    ]
    assert [r.message for r in rows] == ["instruction cache parity error corrected", "ciod: failed to read", "", "the end"]
    assert (rows[1].host, rows[1].local_time, rows[1].date.isoformat()) == ("R03-M0", "2005-10-30-01.00.00.000001", "2005-10-30")
