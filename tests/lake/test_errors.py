"""Errors: one tree, one exit code each, a message that ends with the next step, whole after a pickle."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import errors
from lake.errors import BatchRefused, Busy, ContractBroken, LakeError, RunFailed, SettingsWrong

KINDS = [LakeError, *LakeError.__subclasses__()]


@pytest.mark.parametrize(
    ("kind", "code"), [(LakeError, 1), (SettingsWrong, 64), (ContractBroken, 65), (BatchRefused, 70), (RunFailed, 72), (Busy, 75)]
)
def test_a_shell_can_tell_errors_apart_by_their_exit_code(kind: type[LakeError], code: int) -> None:
    assert kind("what").exit_code == code


def test_no_two_errors_share_an_exit_code() -> None:
    assert len({kind.exit_code for kind in KINDS}) == len(KINDS) == 10


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = dict(re.findall(r"(\w+) \((\d+)\)", errors.__doc__ or ""))
    assert drawn == {kind.__name__: str(kind.exit_code) for kind in KINDS}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Busy("silver.texts is being written"), "silver.texts is being written"),
        (Busy("silver.texts is being written", next_step="wait"), "silver.texts is being written\n  next: wait"),
    ],
)
def test_the_next_step_stands_below_what_went_wrong(error: LakeError, said: str) -> None:
    assert str(error) == said


def test_what_a_caller_adds_to_an_error_travels_with_it() -> None:
    error = BatchRefused("refused", next_step="look")
    error.address = "silver.texts"
    error.add_note("seen at night")
    again = pickle.loads(pickle.dumps(error))
    assert (again.address, again.__notes__) == ("silver.texts", ["seen at night"])


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), what=st.text(), next_step=st.text())
def test_an_error_is_the_same_on_both_sides_of_a_pickle(kind: type[LakeError], what: str, next_step: str) -> None:
    error = kind(what, next_step=next_step)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.what, again.next_step, again.args, again.exit_code) == (str(error), what, next_step, error.args, error.exit_code)
