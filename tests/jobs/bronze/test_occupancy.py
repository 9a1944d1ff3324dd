"""Bronze office readings."""

from __future__ import annotations

from typing import Any


def test_rows_have_one_cell_more_than_the_header(bronze: Any) -> None:
    header = b'"date","Temperature","Humidity","Light","CO2","HumidityRatio","Occupancy"\n'
    (row,) = bronze(
        "occupancy",
        {"datatest.txt": header + b'"140","2015-02-02 14:19:00",23.7,26.272,585.2,749.2,0.00476416302416414,1\n'},
    )
    assert (row.time.isoformat(), row.temperature, row.co2, row.occupied, row.sensor) == (
        "2015-02-02T13:19:00",
        23.7,
        749.2,
        True,
        "occupancy/office",
    )
