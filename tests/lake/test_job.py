"""Job: the declaration of a job file; what can't be meant is refused when it is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import Job
from lake.errors import ContractBroken
from lake.job import check_address
from lake.settings import ZONES


def test_a_job_is_row_local_and_on_spark_unless_it_says_otherwise() -> None:
    job = Job(writes="silver.texts", reads=("bronze.sms_spam",))
    assert (job.grain, job.runs_on, job.look_back, job.look_back_time) == ("rows", "spark", None, timedelta(0))


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"writes": "silver"}, "'silver' is no address"),
        ({"writes": "silver.Texts"}, "'silver.Texts' is no address"),
        ({"reads": ("bronze.a b",)}, "'bronze.a b' is no address"),
        ({"reads": ("copper.x",)}, "'copper.x' is no address"),
        ({"writes": "raw.texts"}, "raw files are landed"),
        ({"writes": "ops.texts"}, "ops is written by lake itself"),
        ({"grain": "row"}, "grain 'row' is unknown"),
        ({"runs_on": "gpu"}, "runs_on 'gpu' is unknown"),
        ({"look_back": "31 days"}, "look_back belongs to grain 'slice', not 'rows'"),
        ({"grain": "slice", "look_back": "a month"}, "look_back 'a month' is no duration"),
        ({"grain": "slice", "look_back": "31 days ago"}, "look_back '31 days ago' is no duration"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(declared: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractBroken, match=told) as caught:
        Job(**{"writes": "silver.texts", "reads": ("bronze.sms_spam",), **declared})
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "time"),
    [("1 day", timedelta(days=1)), ("31 days", timedelta(days=31)), ("6 hours", timedelta(hours=6)), ("90 minutes", timedelta(hours=1.5))],
)
def test_a_look_back_is_a_duration(text: str, time: timedelta) -> None:
    assert Job("silver.sensor_readings", ("bronze.nab",), "slice", text).look_back_time == time


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    name=st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True),
    odd=st.characters(exclude_characters="abcdefghijklmnopqrstuvwxyz0123456789_"),
)
def test_an_address_is_a_zone_and_a_plain_name_and_nothing_around_it(zone: str, name: str, odd: str) -> None:
    address = f"{zone}.{name}"
    assert check_address(address) == address
    for wrong in (f"{address}{odd}", f"{odd}{address}", f"{zone}.{odd}{name}", f"{zone}.{name}.{name}"):
        with pytest.raises(ContractBroken, match="is no address"):
            check_address(wrong)
