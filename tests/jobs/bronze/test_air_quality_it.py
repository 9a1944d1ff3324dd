"""Bronze air quality of an Italian city."""

from __future__ import annotations

from typing import Any


def test_decimal_commas_missing_marks_and_local_time(bronze: Any) -> None:
    header = b"Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);PT08.S2(NMHC);NOx(GT);PT08.S3(NOx);NO2(GT);PT08.S4(NO2);"
    header += b"PT08.S5(O3);T;RH;AH;;\n"
    data = header + b"01/04/2004;00.00.00;2,6;1360;-200;11,9;1046;166;1056;113;1692;1268;-200,0;48,9;0,7578;;\n;;;;;;;;;;;;;;;;\n"
    (row,) = bronze("air_quality_it", {"AirQualityUCI.csv": data})
    assert (row.time.isoformat(), row.month.isoformat(), row.sensor) == (
        "2004-03-31T23:00:00",
        "2004-03-01",
        "air_quality_it/station",
    )
    assert (row.co, row.nmhc, row.temperature, row.absolute_humidity) == (2.6, None, None, 0.7578)
