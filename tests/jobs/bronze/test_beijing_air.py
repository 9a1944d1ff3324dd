"""Bronze Beijing air."""

from __future__ import annotations

from typing import Any


def test_local_time_of_four_columns(bronze: Any) -> None:
    header = b'"No","year","month","day","hour","PM2.5","PM10","SO2","NO2","CO","O3",'
    header += b'"TEMP","PRES","DEWP","RAIN","wd","WSPM","station"\r\n'
    (row,) = bronze(
        "beijing_air",
        {"PRSA_Data_Dongsi.csv": header + b'1,2013,3,1,0,9,NA,3,17,300,89,-0.5,1024.5,-21.4,0,NA,5.7,"Dongsi"\r\n'},
    )
    assert (row.time.isoformat(), row.month.isoformat(), row.sensor) == (
        "2013-02-28T16:00:00",
        "2013-02-01",
        "beijing_air/Dongsi",
    )
    assert (row.pm2_5, row.pm10, row.dew_point, row.wind_speed, row.wind_direction) == (9.0, None, -21.4, 5.7, None)
