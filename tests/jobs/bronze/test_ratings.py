"""Bronze ratings of vendors."""

from __future__ import annotations

import bz2
from typing import Any


def test_a_packed_file_with_a_repeat_and_a_rating_of_nothing(bronze: Any) -> None:
    data = (
        b"reviewerId,vendorId,rating,date\r\n7,1,5,2006-04-07 17:08\r\n7,1,5,2006-04-07 17:08\r\n8,1,0,2008-02-29 00:59\r\nx,1,3,2006-04-07 17:08\r\n"
    )
    rows = bronze("ratings", {"anonreviews.csv.bz2": bz2.compress(data)})
    assert [(r.reviewer, r.vendor, r.rating, r.time.isoformat(), r.date.isoformat()) for r in rows] == [
        (7, 1, 5, "2006-04-07T17:08:00", "2006-04-07"),
        (7, 1, 5, "2006-04-07T17:08:00", "2006-04-07"),
        (8, 1, 0, "2008-02-29T00:59:00", "2008-02-29"),
    ]
    assert len({r.row_id for r in rows}) == 3
