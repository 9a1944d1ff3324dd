"""The schedule: a rate for each step, and steps for a budget."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.models.schedule import learning_rate, steps_that_fit, worth_changing
from lake.models.spec import FineTune

SPEC = FineTune(learning_rate=1.0, warm_up=0.1)


def test_rate_goes_up_and_down_in_a_line() -> None:
    rates = [learning_rate(SPEC, step, [(0, 100)]) for step in range(100)]
    assert rates[0] > 0 and max(rates) == rates[10] == 1.0
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[99] == pytest.approx(1 / 90)


def test_rate_goes_on_from_where_it_is_when_the_plan_changes() -> None:
    plan = [(0, 100), (40, 60), (50, 200)]
    rates = [learning_rate(SPEC, step, plan) for step in range(200)]
    assert rates[40] == learning_rate(SPEC, 40, [(0, 100)])  # no jump
    assert max(abs(a - b) for a, b in pairwise(rates[10:])) < 0.05
    assert rates[49] < learning_rate(SPEC, 49, [(0, 100)]) and 0 < rates[199] < 0.01


@given(
    seconds=st.floats(0, 1e4),
    step=st.floats(0.01, 5),
    epoch=st.integers(1, 400),
    end=st.floats(0, 20),
    at=st.integers(0, 900),
    most=st.integers(1, 2000),
)
def test_what_fits_does_not_take_longer(seconds: float, step: float, epoch: int, end: float, at: int, most: int) -> None:
    fit = steps_that_fit(seconds, step, epoch, end, at, most)
    assert fit >= at + 1
    if fit > at + 1:
        judgements = math.ceil(fit / epoch) - at // epoch
        assert fit <= most and (fit - at) * step + judgements * end <= seconds * 1.0001 + 1e-6
    if fit == at + 1 and at + 1 < most:
        assert seconds <= (2 * step + 2 * end) * 1.0001 + end


def test_small_changes_are_left() -> None:
    assert not worth_changing([(0, 100)], 50, 104, 0.1)
    assert worth_changing([(0, 100)], 50, 80, 0.1)
    assert not worth_changing([(0, 100)], 5, 80, 0.1)  # warming up
    assert not worth_changing([(0, 100)], 90, 60, 0.1)  # nearly there


def test_a_spec_says_what_is_wrong_and_travels_as_json() -> None:
    with pytest.raises(ContractBroken, match="learning_rate must be above 0; warm_up and dropout"):
        FineTune(learning_rate=0, warm_up=1)
    with pytest.raises(ContractBroken, match="plan must begin at step 0"):
        FineTune(plan=((5, 10),))
    spec = FineTune(budget_seconds=1.5, plan=((0, 10), (5, 8)), slices=("language", "source"))
    assert FineTune.from_json(spec.to_json()) == spec
    with pytest.raises(ContractBroken, match="knobs that this version of Millrace does not know: lora"):
        FineTune.from_json('{"lora": 8}')
