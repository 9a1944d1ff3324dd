"""Our own books: rows go in through delta-rs, and the events of an address tell how it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import ops
from lake.contract import Contract
from lake.ops import Event, standing
from lake.store import Store
from lake.table import Table

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)


def event(run: int, status: str, inputs: dict[str, Any] | None = None, *, minute: int = 0, back_to: int | None = None, full: bool = False) -> Event:
    at = AT + timedelta(minutes=minute)
    return Event("silver.texts", run, status, at, inputs or {}, full, "code", "contract", None, None, None, None, None, None, back_to, None)


def told(*said: tuple[int, str] | tuple[int, str, int]) -> list[Event]:
    """Events in the order of their telling; each has taken in version <its number in the list> of its input."""
    return [event(s[0], s[1], {"bronze.x": [None, n]}, minute=n, back_to=s[2] if len(s) == 3 else None) for n, s in enumerate(said, 1)]


def check(address: str, run: int, rule: str, **more: Any) -> dict[str, Any]:
    return {"address": address, "run": run, "at": AT, "rule": rule, "severity": "critical", "success": True, "message": "held", **more}


def run_row(run: int, status: str, minute: int, inputs: str = "{}", address: str = "silver.texts") -> dict[str, Any]:
    at = AT + timedelta(minutes=minute)
    return {"address": address, "run": run, "status": status, "at": at, "inputs": inputs, "full": False, "code": "c", "contract": "k"}


def test_a_lake_without_books_has_empty_ones(store: Store) -> None:
    assert ops.read(store, "runs") == []
    assert ops.events(store) == []
    ops.erase(store, "rejects", "silver.texts", 1)
    ops.append(store, "runs", [])
    assert Table("ops.runs", store).version() is None  # nothing said, nothing made


def test_rows_are_appended_and_found_again_by_what_they_say(store: Store) -> None:
    ops.append(store, "checks", [check("silver.texts", 1, "unique"), check("silver.texts", 2, "unique", observed="7")])
    ops.append(store, "checks", [check("gold.daily", 1, "unique")])
    assert len(ops.read(store, "checks")) == 3
    assert [r["observed"] for r in ops.read(store, "checks", [("address", "=", "silver.texts"), ("run", "=", 2)])] == ["7"]
    assert ops.read(store, "checks", [("address", "=", "gold.daily")], ["rule", "at"]) == [{"rule": "unique", "at": AT}]


def test_a_row_without_what_its_contract_requires_is_not_written(store: Store) -> None:
    with pytest.raises(DeltaError, match="rule"):
        ops.append(store, "checks", [check("silver.texts", 1, "unique") | {"rule": None}])
    assert ops.read(store, "checks") == []


def test_a_table_of_the_driver_is_made_once(store: Store) -> None:
    assert ops.made(store, "files").version() == 0
    assert ops.made(store, "files").version() == 0
    assert ops.made(store, "files").delta().schema().to_json().count('"nullable":false') == 11


def test_a_table_made_without_newer_columns_takes_them_in(store: Store) -> None:
    """ops.checks as an older Millrace made it: eleven columns."""
    schema = Contract.load("ops.checks").schema
    older = pa.schema([f for f in schema if f.name not in ("on_fail", "judged_by", "rows", "examples", "inputs")])
    first = pa.Table.from_pylist([check("silver.texts", 1, "unique")], schema=older)
    write_deltalake(store.delta_uri("ops.checks"), first, partition_by=["address"], storage_options=store.delta_options())
    assert [(r["on_fail"], r["examples"]) for r in ops.read(store, "checks")] == [(None, None)]
    newer = {"on_fail": "warn", "judged_by": "one pass", "rows": 9, "examples": ["text_id = a"], "inputs": "{}"}
    ops.append(store, "checks", [check("silver.texts", 2, "unique", **newer)])
    ops.append(store, "checks", [check("silver.texts", 3, "unique")])
    rows = {r["run"]: {name: r[name] for name in newer} for r in ops.read(store, "checks", [("address", "=", "silver.texts")])}
    assert rows == {1: dict.fromkeys(newer), 2: newer, 3: dict.fromkeys(newer)}
    assert Table("ops.checks", store).version() == 2


def test_an_attempt_that_never_was_published_is_erased_alone(store: Store) -> None:
    ops.append(store, "checks", [check(a, n, "unique") for a in ("silver.texts", "gold.daily") for n in (1, 2)])
    ops.erase(store, "checks", "silver.texts", 2)
    assert sorted((r["address"], r["run"]) for r in ops.read(store, "checks")) == [("gold.daily", 1), ("gold.daily", 2), ("silver.texts", 1)]


def test_events_come_back_oldest_first_with_their_inputs(store: Store) -> None:
    ops.append(store, "runs", [run_row(1, "published", 2, '{"bronze.x": [null, 4]}')])
    ops.append(store, "runs", [run_row(1, "planned", 1), run_row(1, "planned", 3, address="gold.daily")])
    assert [(e.status, dict(e.inputs)) for e in ops.events(store, "silver.texts")] == [("planned", {}), ("published", {"bronze.x": [None, 4]})]
    assert [e.address for e in ops.events(store)] == ["silver.texts", "silver.texts", "gold.daily"]


@pytest.mark.parametrize(
    ("events", "reached", "taken", "published", "left_open", "next_run"),
    [
        (told(), 0, None, set(), None, 1),
        (told((1, "planned"), (1, "published")), 1, 2, {1}, None, 2),
        (told((1, "planned"), (1, "published"), (2, "planned"), (2, "refused")), 1, 2, {1}, None, 3),  # a refused run takes in nothing
        (told((1, "planned"), (1, "published"), (0, "skipped")), 1, 2, {1}, None, 2),
        (told((1, "planned"), (1, "published"), (2, "planned"), (2, "nothing")), 1, 4, {1}, None, 3),  # new versions, the same rows
        (told((1, "planned"), (1, "published"), (2, "planned")), 1, 2, {1}, 2, 3),  # died before its commit
        (told((1, "planned"), (1, "published"), (2, "planned")), 2, 2, {1, 2}, 2, 3),  # died after its commit, before it said so
        (told(), 7, None, set(), None, 8),  # the books were lost, the table was not: no number is used twice
        (told((1, "planned"), (1, "published"), (2, "planned"), (2, "published"), (3, "restored", 1)), 3, 5, {1, 3}, None, 4),
        (told((1, "published"), (2, "published"), (3, "restored", 1), (4, "published"), (5, "restored", 3)), 5, 5, {1, 3, 5}, None, 6),
    ],
)
def test_how_an_address_stands(
    events: list[Event], reached: int, taken: int | None, published: set[int], left_open: int | None, next_run: int
) -> None:
    found = standing(events, reached)
    assert dict(found.taken) == ({} if taken is None else {"bronze.x": [None, taken]})
    assert found.published == published
    assert (found.open.run if found.open else None) == left_open
    assert found.next_run == next_run


@pytest.mark.parametrize(
    ("events", "made", "undone"),
    [
        ([event(1, "published", full=True), event(2, "published"), event(3, "nothing")], 1, set()),
        ([event(1, "published", full=True), event(2, "published", full=True), event(3, "refused", full=True)], 2, set()),
        ([event(1, "published", full=True), event(2, "published", full=True), event(3, "restored", back_to=1)], 1, {2}),
        ([event(1, "published"), event(2, "published"), event(3, "restored", back_to=1), event(4, "restored", back_to=2)], None, {3}),
        # committed and died before it said so, then taken back: its files are to be read again
        ([event(1, "published", full=True), event(2, "planned"), event(3, "restored", back_to=1)], 1, {2}),
    ],
)
def test_which_run_made_the_whole_table_and_which_are_undone(events: list[Event], made: int | None, undone: set[int]) -> None:
    found = standing(events, events[-1].run)
    assert (found.made.run if found.made else None, found.undone) == (made, undone)


def test_a_clock_that_is_behind_does_not_turn_runs_around() -> None:
    rows = told((1, "planned"), (1, "published"), (3, "planned"), (3, "published"), (2, "planned"), (2, "published"))
    assert dict(standing(rows, 3).taken) == {"bronze.x": [None, 4]}  # what run 3 took in, though run 2 said its word later


def test_an_intent_that_was_given_up_for_a_newer_run_is_not_open() -> None:
    assert standing(told((1, "planned"), (2, "planned"), (2, "published")), 2).open is None


def lives() -> st.SearchStrategy[list[tuple[int, str]]]:
    """The runs of an address one after another, each with the events of its life."""
    ends = st.sampled_from([("planned", "published"), ("planned", "refused"), ("planned", "failed"), ("planned", "nothing"), ("planned",)])
    return st.lists(ends, max_size=12).map(lambda runs: [(n, status) for n, life in enumerate(runs, 1) for status in life])


@settings(deadline=None)
@given(said=lives(), reached=st.integers(0, 15))
def test_a_run_number_is_never_used_twice_and_only_commits_count(said: list[tuple[int, str]], reached: int) -> None:
    found = standing(told(*said), reached)
    assert found.next_run > max([reached, *(run for run, _ in said)])
    committed = {run for run, status in said if status == "published"}
    assert committed <= found.published <= committed | {reached}
    assert found.open is None or (found.open.run, "planned") in said
