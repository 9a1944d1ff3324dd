"""A restore is a run: the rows of an earlier version stand again, the run number goes on, and the next run takes in the rest."""

from __future__ import annotations

import pytest

from lake import ops
from lake.errors import SourceMissing
from lake.restore import restore
from tests.lake.project import Place

FIRST = [("a.csv", 1.0), ("a.csv", 3.0), ("a.csv", 5.0), ("b.csv", 10.0)]
SECOND = [*FIRST, ("c.csv", 7.0)]


def rows(place: Place) -> list[tuple[object, ...]]:
    return place.rows("bronze.readings", "file", "value")


def stands(place: Place) -> tuple[int | None, int, frozenset[int]]:
    """Version, run number in the table, and the runs that count."""
    table = place.table("bronze.readings")
    return table.version(), table.last_run(), place.standing("bronze.readings").published


def test_what_a_restore_takes_back_the_next_run_takes_in_again_and_a_restore_can_be_restored(place: Place) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0), ("south", "2026-03-06", "x"))
    place.run("bronze.readings")
    assert (rows(place), stands(place)) == (SECOND, (2, 2, {1, 2}))

    said = restore(place.lake, "bronze.readings", 1)
    assert "version 1 (run 1) put back; undone: 2; now version 3, 4 rows" in said
    assert (rows(place), stands(place)) == (FIRST, (3, 3, {1, 3}))
    event = ops.events(place.lake.store, "bronze.readings")[-1]
    assert (event.status, event.run, event.back_to, event.version, event.rows_kept) == ("restored", 3, 1, 3, 4)

    restore(place.lake, "bronze.readings", 2)  # to the run that was undone: its file is read again as well
    assert (rows(place), stands(place)) == (SECOND, (4, 4, {1, 2, 4}))
    assert place.run("bronze.readings").status == "nothing"

    restore(place.lake, "bronze.readings", 3)
    assert (rows(place), stands(place)) == (FIRST, (5, 5, {1, 3, 5}))
    outcome = place.run("bronze.readings")
    assert (outcome.status, outcome.run, outcome.rows_in, outcome.rows_kept) == ("published", 6, 2, 1)
    assert (rows(place), stands(place)) == (SECOND, (6, 6, {1, 3, 5, 6}))
    assert place.run("bronze.readings").status == "nothing"


def test_downstream_of_a_restore_only_the_rows_that_differ_move(place: Place) -> None:
    table = place.table("silver.readings")
    table.delta().delete("station = 'south'")  # a version that no run made
    with pytest.raises(SourceMissing, match="no earlier version 2"):
        restore(place.lake, "silver.readings", 2)
    restore(place.lake, "silver.readings", 1)
    assert (table.version(), len(place.rows("silver.readings", "row_id"))) == (3, 4)
    assert table.changed(place.spark, 1, 3).empty
    assert place.run("silver.readings").status == "nothing"
    assert place.run("gold.totals").status == "nothing"


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point, runs", [("staged", {1, 2}), ("committed", {1, 3})])
def test_a_restore_that_died_is_done_or_not_done(point: str, runs: set[int], place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    place.run("bronze.readings")

    def reached(now: str) -> None:
        if now == f"{point}:bronze.readings":
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr("lake.restore.reached", reached)
        with pytest.raises(Died):
            restore(place.lake, "bronze.readings", 1)
    outcome = place.run("bronze.readings")  # it takes c.csv in again where the restore has landed
    assert (outcome.status, outcome.run) == (("published", 4) if point == "committed" else ("nothing", None))
    assert rows(place) == SECOND
    standing = place.standing("bronze.readings")
    assert (standing.published, standing.open) == (runs | {4} if point == "committed" else runs, None)
    assert place.run("bronze.readings").status == "nothing"


@pytest.mark.parametrize("to", [0, 1, 9])
def test_there_is_no_way_back_to_a_version_that_no_run_made_or_that_is_the_newest(to: int, place: Place) -> None:
    with pytest.raises(SourceMissing, match=f"no earlier version {to}") as caught:
        restore(place.lake, "bronze.readings", to)
    assert "1 (run 1" in caught.value.next_step
    assert stands(place) == (1, 1, {1})
