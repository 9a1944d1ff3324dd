"""A run takes in what is new, shows all of it or nothing, and says in the books what it did; a second run changes nothing.

Each test goes on from a copy of one lake after its first night (tests/lake/project.py): a.csv with 1, 2 and 2 March, b.csv with
5 March and a cell that is no number. A job costs seconds of two cores, so a test runs the jobs that it is about and no other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake import ops
from lake.errors import ContractBroken, RunFailed, SourceMissing
from lake.job import Job
from lake.replay import files_to_replay
from lake.report.rejects import counted
from lake.run import Again, tables, telling
from lake.run.tables import slices_to_build
from tests.lake.project import COLUMNS, JOBS, ORDER, SUITE, Died, Place, contract, copied, write, write_contract, write_suite

ROOT = Path(__file__).resolve().parents[2]
SILVER = [("north", "2026-03-01", 1.0), ("north", "2026-03-02", 3.0), ("north", "2026-03-05", 10.0), ("south", "2026-03-02", 5.0)]
DAILY = [
    ("north", "2026-03-01", 1.0, None),
    ("north", "2026-03-02", 3.0, 2.0),
    ("north", "2026-03-05", 10.0, None),  # no reading on the 4th, so no rise
    ("south", "2026-03-02", 5.0, None),
]


def silver(place: Place) -> list[tuple[object, ...]]:
    return place.rows("silver.readings", "station", "day", "value")


def daily(place: Place) -> list[tuple[object, ...]]:
    return place.rows("gold.daily", "station", "day", "total", "rise")


def files(place: Place, address: str) -> set[str]:
    return {f.path for f in place.table(address).snapshot().files}


def ledger(place: Place) -> list[tuple[object, ...]]:
    rows = ops.read(place.lake.store, "files", [("status", "=", "read")])
    return sorted((r["path"], r["edition"], r["run"], r["rows"], r["rejected"]) for r in rows)


def rejects(place: Place, address: str) -> list[tuple[object, ...]]:
    """Rejected rows of published runs."""
    counted = place.standing(address).published
    rows = ops.read(place.lake.store, "rejects", [("address", "=", address)])
    return sorted((r["run"], r["file"], r["line"], r["reasons"], r["raw"] and bytes(r["raw"])) for r in rows if r["run"] in counted)


# -- what is new -------------------------------------------------------------------------------------------------------


def test_the_first_night_makes_every_table_with_the_origin_of_each_row_and_the_reason_of_each_reject(place: Place) -> None:
    assert place.rows("bronze.readings", "file", "edition", "ordinal", "line", "offset", "station", "value") == [
        ("a.csv", 1, 0, 2, 18, "north", 1.0),
        ("a.csv", 1, 1, 3, 39, "north", 3.0),
        ("a.csv", 1, 2, 4, 60, "south", 5.0),
        ("b.csv", 1, 0, 2, 18, "north", 10.0),
    ]
    assert (silver(place), daily(place)) == (SILVER, DAILY)
    assert place.rows("gold.totals", "station", "readings", "total") == [("north", 3, 14.0), ("south", 1, 5.0)]
    assert rejects(place, "bronze.readings") == [(1, "b.csv", 3, ["not_a_number:value"], b"south,2026-03-05,NA")]
    assert ledger(place) == [("a.csv", 1, 1, 3, 0), ("b.csv", 1, 1, 1, 1)]
    for address in ORDER:
        assert [(e.run, e.status, e.full) for e in ops.events(place.lake.store, address)] == [(1, "planned", True), (1, "published", True)]
        assert place.table(address).last_run() == 1
    event = ops.events(place.lake.store, "bronze.readings")[-1]
    assert (event.rows_in, event.rows_kept, event.rows_rejected, event.version) == (5, 4, 1, 1)
    assert ops.events(place.lake.store, "gold.daily")[-1].inputs == {"silver.readings": [None, 1]}


@pytest.mark.parametrize(
    "told",
    [
        ((1_000, 16_384), (100_000, 512)),
        ((1, 16_384), (100_000, 512)),
        ((1, 16_384), (1, 512)),
        ((1_000, 20), (1_000, 10)),
        ((1_000, 2**30), (1_000, 2**30)),
    ],
    ids=["few", "many small ones", "more than are told", "larger than are told", "no more than a task may tell"],
)
def test_rejects_are_the_same_whether_the_writing_pass_tells_them_or_another_reads_them(
    place: Place, told: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tellings = tuple(replace(t, rows=rows, bytes=bytes_) for t, (rows, bytes_) in zip(telling.TELLINGS, told, strict=True))
    monkeypatch.setattr(telling, "TELLINGS", tellings)
    place.file("c.csv", ("north", "2026-03-04", "x"), ("west", "2026-03-04", 4.0), ("north", "2026-03-04", -60.0), ("a", "b", "a longer one"))
    outcomes = [place.run(address) for address in ("bronze.readings", "silver.readings")]
    assert [(o.rows_kept, o.rows_rejected) for o in outcomes] == [(2, 2), (0, 2)]
    assert rejects(place, "bronze.readings")[1:] == [
        (2, "c.csv", 2, ["not_a_number:value"], b"north,2026-03-04,x"),
        (2, "c.csv", 5, ["not_a_date:day", "not_a_number:value"], b"a,b,a longer one"),
    ]
    held = ops.read(place.lake.store, "rejects", [("address", "=", "silver.readings")])
    assert sorted((json.loads(r["row"])["value"], r["reasons"]) for r in held) == [(-60.0, ["out_of_range:value"]), (4.0, ["not_allowed:station"])]


@pytest.mark.parametrize(("file", "written"), [(1, 2), (2**20, 1)], ids=["large", "small"])
def test_a_small_run_writes_one_file_and_a_large_one_a_file_a_task(place: Place, file: int, written: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_FILE", file)
    columns = [{**c, "partitioned": False} for c in COLUMNS["silver.readings"]]
    write_contract(place.project, contract("silver.same", columns))
    write_suite(place.project, "silver.same", SUITE)
    write(place.project / "jobs" / "silver" / "same.py", JOBS["silver.readings"].replace("silver.readings", "silver.same"))
    place.file("c.csv", ("north", "2026-03-04", 4.0))
    place.run("bronze.readings")
    assert len(files(place, "bronze.readings")) == 2
    assert place.run("silver.same").rows_kept == len(SILVER) + 1
    assert len(files(place, "silver.same")) == written


def test_what_a_run_is_built_from_is_counted_in_bytes_and_of_what_changed_only_that(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_FILE", 1)
    before = place.table("bronze.readings").sizes()
    place.file("c.csv", ("north", "2026-03-04", 4.0))
    assert place.run("bronze.readings").version == 2
    after = place.table("bronze.readings").sizes()
    (new,) = after.keys() - before.keys()
    seen: list[tuple[str, int]] = []
    made = tables.TableRun._bytes
    monkeypatch.setattr(tables.TableRun, "_bytes", lambda run, intent: seen.append((run.job.writes, made(run, intent))) or seen[-1][1])
    for address in ORDER[1:]:
        place.run(address)
    silver = place.table("silver.readings").sizes()
    place.run("silver.readings", full=True)
    assert seen[0] == ("silver.readings", after[new])
    assert seen[-2:] == [("gold.totals", sum(silver.values())), ("silver.readings", sum(after.values()))]


def test_a_second_night_makes_no_version_of_anything_and_starts_no_spark(place: Place) -> None:
    before = place.versions()
    place.lake._spark = None
    place.lake.spark = lambda: pytest.fail("Spark was started")  # type: ignore[method-assign]
    assert {o.status for o in place.night().values()} == {"nothing"}
    assert place.versions() == before


def test_a_new_file_builds_its_rows_alone_and_a_late_row_the_slices_that_look_back_on_it(place: Place) -> None:
    before = {a: files(place, a) for a in ORDER}
    place.file("c.csv", ("north", "2026-03-04", 4.0), ("west", "2026-03-04", 4.0), ("north", "2026-03-04", -60.0))
    outcomes = place.night()
    assert [(o.rows_in, o.rows_kept, o.rows_rejected) for o in outcomes.values()] == [(3, 3, 0), (3, 1, 2), (2, 2, 0), (2, 2, 0)]
    assert rejects(place, "silver.readings") == [(2, None, None, ["not_allowed:station"], None), (2, None, None, ["out_of_range:value"], None)]
    assert before["bronze.readings"] < files(place, "bronze.readings") and before["silver.readings"] < files(place, "silver.readings")
    assert silver(place) == sorted([*SILVER, ("north", "2026-03-04", 4.0)])
    # The 4th is new, and the 5th has a rise now; the files of the 1st and the 2nd are the same ones.
    assert daily(place) == [DAILY[0], DAILY[1], ("north", "2026-03-04", 4.0, None), ("north", "2026-03-05", 10.0, 6.0), DAILY[3]]
    kept = {f for f in before["gold.daily"] if "day=2026-03-05" not in f}
    assert kept < files(place, "gold.daily") and len(kept) == len(before["gold.daily"]) - 1
    assert place.rows("gold.totals", "station", "readings") == [("north", 4), ("south", 1)]
    versions = place.versions()
    assert {o.status for o in place.night().values()} == {"nothing"}
    assert place.versions() == versions


def test_another_content_of_a_file_replaces_its_rows_and_what_was_made_of_them(place: Place) -> None:
    ids = dict(place.rows("bronze.readings", "ordinal", "row_id")[:1])
    other = {f for f in files(place, "silver.readings") if "day=2026-03-05" in f}
    place.file("a.csv", ("north", "2026-03-02", 2.0), ("north", "2026-03-02", 3.0))  # the 1st is gone, and so is the south
    outcomes = place.night()
    assert {o.status for o in outcomes.values()} == {"published"}
    assert place.rows("bronze.readings", "file", "edition", "ordinal", "value") == [("a.csv", 2, 0, 2.0), ("a.csv", 2, 1, 3.0), ("b.csv", 1, 0, 10.0)]
    assert dict(place.rows("bronze.readings", "ordinal", "row_id")[:1]).keys() == ids.keys()
    assert silver(place) == [("north", "2026-03-02", 2.0), ("north", "2026-03-02", 3.0), ("north", "2026-03-05", 10.0)]
    assert other < files(place, "silver.readings")
    assert daily(place) == [("north", "2026-03-02", 5.0, None), ("north", "2026-03-05", 10.0, None)]
    assert place.rows("gold.totals", "station", "readings", "total") == [("north", 3, 15.0)]
    assert ledger(place) == [("a.csv", 1, 1, 3, 0), ("a.csv", 2, 2, 2, 0), ("b.csv", 1, 1, 1, 1)]
    versions = place.versions()
    assert {o.status for o in place.night().values()} == {"nothing"}
    assert place.versions() == versions


def test_a_file_that_was_touched_or_emptied_of_changes_is_nothing_new(place: Place) -> None:
    path = place.root / "raw" / "readings" / "a.csv"
    write(path, path.read_text())
    before = place.versions()
    assert place.run("bronze.readings").status == "nothing"
    assert place.versions() == before


def grow(place: Place, name: str, text: str) -> None:
    with (place.root / "raw" / "readings" / name).open("a", newline="") as file:
        file.write(text)


def test_of_a_file_that_grew_only_its_new_rows_come_and_all_else_stands(place: Place) -> None:
    before = files(place, "bronze.readings")
    grow(place, "b.csv", "south,2026-03-06,7.0\nsouth,2026-03-06,y\n")
    outcome = place.run("bronze.readings")
    assert (outcome.status, outcome.rows_in, outcome.rows_kept, outcome.rows_rejected) == ("published", 2, 1, 1)
    assert before < files(place, "bronze.readings")  # no file of old rows is written again
    b = [r for r in place.rows("bronze.readings", "file", "edition", "ordinal", "line", "value") if r[0] == "b.csv"]
    assert b == [("b.csv", 1, 0, 2, 10.0), ("b.csv", 2, 2, 4, 7.0)]
    assert [r[2] for r in rejects(place, "bronze.readings")] == [3, 5]
    assert sorted(r["line"] for r in counted(place.lake.store, "bronze.readings")) == [3, 5]
    assert ledger(place)[-1] == ("b.csv", 2, 2, 1, 1)
    # A last line without its end is another record when it goes on; the one set aside before it is as it was.
    grow(place, "b.csv", "south,2026-03-06,1")
    assert place.run("bronze.readings").rows_kept == 1
    grow(place, "b.csv", "5.5\n")
    outcome = place.run("bronze.readings")
    assert (outcome.rows_in, outcome.rows_kept) == (1, 1)
    b = [r[1:] for r in place.rows("bronze.readings", "file", "edition", "ordinal", "line", "value") if r[0] == "b.csv"]
    assert b == [(1, 0, 2, 10.0), (2, 2, 4, 7.0), (4, 4, 6, 15.5)]
    assert sorted(r["line"] for r in counted(place.lake.store, "bronze.readings")) == [3, 5]
    grown = place.rows("bronze.readings", "row_id", "file", "ordinal", "line", "offset", "length", "value")
    assert {o.status for o in place.night().values()} <= {"published", "nothing"}
    assert place.run("bronze.readings", full=True).status == "published"
    assert place.rows("bronze.readings", "row_id", "file", "ordinal", "line", "offset", "length", "value") == grown
    assert sorted(r["line"] for r in counted(place.lake.store, "bronze.readings")) == [3, 5]


@pytest.mark.parametrize("point", ["planned", "staged", "committed"])
def test_a_run_over_a_file_that_grew_is_ended_by_the_next_one(point: str, place: Place) -> None:
    grow(place, "b.csv", "south,2026-03-06,7.0\nsouth,2026-03-06,y\nsouth,2026-03-06,1")
    place.run("bronze.readings")
    grow(place, "b.csv", "5.5\nsouth,2026-03-06,z\n")
    place.dies(point, "bronze.readings")
    grow(place, "b.csv", "south,2026-03-07,8.0\n")
    assert place.run("bronze.readings").status == "published"
    b = [r[1:] for r in place.rows("bronze.readings", "file", "edition", "ordinal", "value") if r[0] == "b.csv"]
    # Where a reader of the run that died could go on was in its memory: books that were finished later leave the whole to be read.
    editions = (4, 4, 4, 4) if point == "committed" else (1, 2, 3, 4)
    assert b == list(zip(editions, (0, 2, 4, 6), (10.0, 7.0, 15.5, 8.0), strict=True))
    assert sorted(r["line"] for r in counted(place.lake.store, "bronze.readings")) == [3, 5, 7]
    assert place.run("bronze.readings").status == "nothing"


def test_rows_of_an_overwritten_file_stand_beside_the_new_ones_where_the_contract_keeps_editions(place: Place) -> None:
    place.change("schemas/raw/readings.yaml", "  customProperties:\n", "  customProperties:\n  - property: editions\n    value: keep\n")
    place.file("b.csv", ("south", "2026-03-06", 7.0), ("south", "2026-03-06", "y"), ("south", "2026-03-06", 8.0))
    assert place.run("bronze.readings").rows_kept == 2
    grow(place, "b.csv", "south,2026-03-07,9.0\n")
    assert place.run("bronze.readings").rows_in == 1
    b = [r[1:] for r in place.rows("bronze.readings", "file", "edition", "ordinal", "value") if r[0] == "b.csv"]
    assert b == [(1, 0, 10.0), (2, 0, 7.0), (2, 2, 8.0), (3, 3, 9.0)]
    assert len({r[0] for r in place.rows("bronze.readings", "row_id")}) == 7
    assert sorted((r["edition"], r["line"]) for r in counted(place.lake.store, "bronze.readings")) == [(1, 3), (2, 3)]
    ids = place.rows("bronze.readings", "row_id")
    assert place.run("bronze.readings", again=Again(frozenset({"b.csv"}))).rows_in == 4  # what lies there now, and no older content
    assert place.rows("bronze.readings", "row_id") == ids
    assert sorted((r["edition"], r["line"]) for r in counted(place.lake.store, "bronze.readings")) == [(1, 3), (3, 3)]
    assert place.run("silver.readings").rows_kept == 3
    outcome = place.run("bronze.readings", full=True)
    assert isinstance(outcome.error, SourceMissing) and "keeps rows whose content is gone" in outcome.message


def test_a_copy_is_read_once_where_the_contract_says_so(place: Place) -> None:
    shutil.copy(place.root / "raw" / "readings" / "a.csv", place.root / "raw" / "readings" / "a again.csv")
    place.change("schemas/raw/readings.yaml", "  customProperties:\n", "  customProperties:\n  - property: copies\n    value: skip\n")
    before = place.versions()
    assert {o.status for o in place.night().values()} == {"nothing"}
    assert {address for address, version in place.versions().items() if version != before[address]} == {"ops.files"}
    ledger_rows = ops.read(place.lake.store, "files", [("status", "=", "copy")])
    assert [(r["path"], r["run"]) for r in ledger_rows] == [("a again.csv", 1)]
    assert {o.status for o in place.night().values()} == {"nothing"}
    assert len(ops.read(place.lake.store, "files", [("status", "=", "copy")])) == 1
    place.file("a.csv", ("north", "2026-03-07", 1.0))
    place.night()
    assert ledger(place)[:2] == [("a again.csv", 1, 2, 3, 0), ("a.csv", 1, 1, 3, 0)]
    assert place.rows("bronze.readings", "file", "day") == [
        *[("a again.csv", f"2026-03-0{day}") for day in (1, 2, 2)],
        ("a.csv", "2026-03-07"),
        ("b.csv", "2026-03-05"),
    ]


def test_an_input_that_was_only_compacted_makes_no_version_downstream(place: Place) -> None:
    place.table("silver.readings").delta().delete("false")
    place.table("silver.readings").delta().optimize.z_order(["value"])
    assert place.table("silver.readings").version() == 2
    before = place.table("gold.totals").version()
    assert (place.run("gold.totals").status, place.run("gold.totals").status) == ("nothing", "nothing")
    assert place.table("gold.totals").version() == before
    assert [e.status for e in ops.events(place.lake.store, "gold.totals")] == ["planned", "published", "planned", "nothing"]


def test_a_job_whose_input_is_not_there_yet_is_skipped(new_place: Place) -> None:
    outcome = new_place.run("silver.readings")
    assert (outcome.status, outcome.message, outcome.exit_code) == ("skipped", "bronze.readings is not there yet", 0)


def test_a_source_without_files_makes_an_empty_table_once(new_place: Place) -> None:
    assert [new_place.run("bronze.readings").status for _ in range(2)] == ["published", "nothing"]
    assert (new_place.table("bronze.readings").version(), new_place.rows("bronze.readings", "file")) == (1, [])


# -- refused and failed ------------------------------------------------------------------------------------------------


def test_a_refused_batch_shows_nothing_and_is_taken_again_when_the_suite_is_mended(place: Place) -> None:
    place.file("c.csv", ("north", "2026-03-06", 55.0), ("west", "2026-03-06", 1.0))
    place.run("bronze.readings")
    before = place.table("silver.readings").version()
    outcome = place.run("silver.readings")
    assert (outcome.status, outcome.exit_code) == ("refused", 70)
    assert "expect_column_max_to_be_between on value: FAILS: saw 55.0" in outcome.message
    assert (place.table("silver.readings").version(), silver(place), rejects(place, "silver.readings")) == (before, SILVER, [])
    judged = ops.read(place.lake.store, "checks", [("address", "=", "silver.readings"), ("run", "=", 2)])
    assert sorted((c["rule"], c["column"] or "", c["on_fail"], c["success"], c["unexpected"], c["rows"]) for c in judged) == [
        ("expect_column_max_to_be_between", "value", "refuse", False, None, 1),
        ("expect_column_values_to_be_unique", "row_id", "quarantine", True, 0, 1),
        ("missing", "day", "quarantine", True, 0, 2),
        ("missing", "row_id", "quarantine", True, 0, 2),
        ("missing", "station", "quarantine", True, 0, 2),
        ("missing", "value", "quarantine", True, 0, 2),
        ("not_allowed", "station", "quarantine", False, 1, 2),
        ("out_of_range", "value", "quarantine", True, 0, 2),
        ("rejected_share", "", "refuse", True, 1, 2),
    ]
    assert {c["inputs"] for c in judged} == {'{"bronze.readings": [1, 2]}'}
    assert sorted(len(c["examples"]) for c in judged if not c["success"]) == [0, 1]
    assert place.run("gold.totals").status == "nothing"

    write_suite(place.project, "silver.readings", {"expectations": [{**SUITE["expectations"][0], "kwargs": {"column": "value", "max_value": 59}}]})
    outcome = place.run("silver.readings")
    assert (outcome.status, outcome.run, outcome.rows_kept, outcome.rows_rejected) == ("published", 3, 1, 1)
    assert silver(place) == [*SILVER[:3], ("north", "2026-03-06", 55.0), SILVER[3]]
    assert [r[0] for r in rejects(place, "silver.readings")] == [3]


def test_a_build_that_raises_is_told_by_file_and_line_and_leaves_the_table_as_it_was(place: Place) -> None:
    place.change("jobs/gold/totals.py", '    """Every reading counts."""\n', '    readings["no such column"]\n')
    outcome = place.run("gold.totals", full=True)
    assert (outcome.status, outcome.exit_code, type(outcome.error)) == ("failed", 72, RunFailed)
    assert f"{place.project / 'jobs' / 'gold' / 'totals.py'}:11: " in outcome.message and "no such column" in outcome.message
    assert place.table("gold.totals").version() == 1
    assert [(e.run, e.status) for e in ops.events(place.lake.store, "gold.totals")][-1] == (2, "failed")
    place.change("jobs/gold/totals.py", '    readings["no such column"]\n', "    return 7\n")
    assert place.run("gold.totals", full=True).exit_code == 72
    write(place.project / "jobs" / "gold" / "totals.py", JOBS["gold.totals"])
    outcome = place.run("gold.totals")
    assert (outcome.status, outcome.message) == ("nothing", "")


def test_bronze_keeps_one_row_a_record_so_a_build_that_drops_rows_fails(place: Place) -> None:
    place.change("jobs/bronze/readings.py", '"value")\n', '"value").where("value > 1")\n')
    outcome = place.run("bronze.readings", full=True)
    assert (outcome.status, outcome.exit_code) == ("failed", 72)
    assert "4 good records were read, but build() made 3 rows" in outcome.message
    assert (place.table("bronze.readings").version(), place.table("bronze.readings").last_run()) == (1, 1)


def test_each_file_reconciles_for_itself_so_a_row_that_moves_to_another_file_fails(place: Place) -> None:
    moved = 'records.withColumn("file", F.when(F.col("ordinal") == 2, "b.csv").otherwise(F.col("file")))'
    place.change("jobs/bronze/readings.py", "    return records.select(", f"    from pyspark.sql import functions as F\n\n    return {moved}.select(")
    outcome = place.run("bronze.readings", full=True)
    assert (outcome.status, outcome.exit_code) == ("failed", 72)
    assert "a.csv does not reconcile: its reader gave 3 records, and 2 rows and 0 rejects came of them" in outcome.message
    assert place.table("bronze.readings").version() == 1


def test_a_job_that_mixes_raw_files_with_another_input_is_refused(place: Place) -> None:
    place.change("jobs/bronze/readings.py", '("raw.readings",)', '("raw.readings", "silver.readings")')
    place.change("jobs/silver/readings.py", '("bronze.readings",)', "()")
    outcome = place.run("bronze.readings")
    assert isinstance(outcome.error, ContractBroken) and "a raw source is read alone" in outcome.message


def test_two_jobs_of_one_source_each_read_its_files(place: Place) -> None:
    write_contract(place.project, contract("bronze.again", COLUMNS["bronze.readings"]))
    write(place.project / "jobs" / "bronze" / "again.py", JOBS["bronze.readings"].replace("bronze.readings", "bronze.again"))
    place.file("c.csv", ("north", "2026-03-06", 1.0))
    assert place.run("bronze.again").rows_kept == 5
    assert place.run("bronze.readings").rows_kept == 1
    assert place.rows("bronze.again", "row_id") == place.rows("bronze.readings", "row_id")
    assert place.run("bronze.again").status == "nothing"


# -- cut short ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["planned", "committed"])  # 'staged' is for real below
def test_a_run_that_died_is_ended_by_the_next_one_with_each_row_once_and_whole_books(point: str, place: Place) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0), ("south", "2026-03-06", "x"))
    place.dies(point, "bronze.readings")
    assert place.standing("bronze.readings").published == ({1, 2} if point == "committed" else {1})
    place.file("d.csv", ("south", "2026-03-07", 8.0))  # landed meanwhile: not of the run that died
    outcome = place.run("bronze.readings")  # the run that died, and then the new file
    told = (outcome.status, outcome.run, outcome.rows_in, outcome.rows_kept)
    assert told == (("published", 3, 3, 2) if point == "planned" else ("published", 3, 1, 1))
    after_death_is_over(place)


def after_death_is_over(place: Place) -> None:
    """What the books and the table must say after c.csv and d.csv, wherever the process died."""
    assert place.run("bronze.readings").status == "nothing"
    standing = place.standing("bronze.readings")
    assert (standing.open, standing.published, standing.next_run) == (None, {1, 2, 3}, 4)
    assert place.rows("bronze.readings", "file", "value")[3:] == [("b.csv", 10.0), ("c.csv", 7.0), ("d.csv", 8.0)]
    assert ledger(place)[2:] == [("c.csv", 1, 2, 1, 1), ("d.csv", 1, 3, 1, 0)]
    assert rejects(place, "bronze.readings")[1:] == [(2, "c.csv", 3, ["not_a_number:value"], b"south,2026-03-06,x")]
    ended = [(e.run, e.rows_rejected) for e in ops.events(place.lake.store, "bronze.readings") if e.status == "published"]
    assert ended == [(1, 1), (2, 1), (3, 0)]


def test_an_intent_that_was_given_up_for_mended_code_never_counts(place: Place) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0), ("west", "2026-03-06", 7.0))
    place.run("bronze.readings")
    place.dies("staged", "silver.readings")
    place.change("jobs/silver/readings.py", '"value")\n', '"value").where("station is not null")\n')
    outcome = place.run("silver.readings")
    assert (outcome.status, outcome.run, outcome.rows_kept) == ("published", 3, 1)
    assert "older code made them" in outcome.message  # the rows of run 1
    assert (place.standing("silver.readings").published, place.standing("silver.readings").open) == ({1, 3}, None)
    assert [r[0] for r in rejects(place, "silver.readings")] == [3]
    outcome = place.run("silver.readings")
    assert (outcome.status, place.table("silver.readings").version()) == ("nothing", 2)
    assert "older code made them" in outcome.message  # adding to them has not made them anew
    assert place.standing("silver.readings").taken == {"bronze.readings": [1, 2]}
    assert silver(place) == [*SILVER, ("south", "2026-03-06", 7.0)]


def dead_at(point: str) -> Callable[[str], None]:
    def reached(now: str) -> None:
        if now.startswith(f"{point}:"):
            raise Died

    return reached


def test_files_planned_by_a_run_that_died_before_its_intent_are_not_read_twice(place: Place) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lake.run.tables.TableRun._event", lambda *_, **__: (_ for _ in ()).throw(Died()))
        with pytest.raises(Died):
            place.run("bronze.readings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lake.run.tables.reached", dead_at("planned"))
        with pytest.raises(Died):
            place.run("bronze.readings")
    outcome = place.run("bronze.readings")
    assert (outcome.run, outcome.rows_in, len(place.rows("bronze.readings", "file"))) == (2, 1, 5)


def test_a_process_that_was_killed_at_its_commit_or_before_it_loses_and_doubles_nothing(
    first_night: Path, tmp_path: Path, store_home: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job file run as a script of its own; kill -9 with its files staged, and after its commit, before the books."""
    children: dict[str, tuple[Place, subprocess.Popen[str]]] = {}
    for point in ("staged", "committed"):
        place = Place.at(copied(first_night, tmp_path / point), store_home, spark)
        place.file("c.csv", ("south", "2026-03-06", 7.0), ("south", "2026-03-06", "x"))
        env = os.environ | {"LAKE_ROOT": str(place.root), "LAKE_HOME": str(store_home), "LAKE_PROJECT": str(place.project)}
        env |= {"LAKE_HOLD_AT": f"{point}:bronze.readings", "LAKE_MASTER": "local[1]", "LAKE_DRIVER_MEMORY": "1g"}
        command = [sys.executable, str(place.project / "jobs" / "bronze" / "readings.py")]
        children[point] = place, subprocess.Popen(command, env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for point, (place, child) in children.items():
        said: list[str] = []
        assert child.stdout is not None
        with child.stdout:
            while not said or (said[-1] and not said[-1].startswith("holding at")):  # an empty line is the end
                said.append(child.stdout.readline())
            child.kill()  # -9; its JVM ends with the pipe that it was started on
            child.wait()
        assert said[-1] == f"holding at {point}:bronze.readings\n", "".join(said)
        monkeypatch.setenv("LAKE_PROJECT", str(place.project))
        assert place.table("bronze.readings").last_run() == (2 if point == "committed" else 1)
        assert place.standing("bronze.readings").open is not None
        if point == "staged":
            assert place.run("bronze.readings").run == 2
        place.file("d.csv", ("south", "2026-03-07", 8.0))
        assert place.run("bronze.readings").run == 3
        after_death_is_over(place)


# -- what goes wrong around a commit, and behind our back ---------------------------------------------------------------


def test_an_error_after_the_commit_is_no_failed_run_its_rows_are_there_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    with monkeypatch.context() as patch:
        patch.setattr("lake.run.tables.TableRun._close_files", lambda *_: (_ for _ in ()).throw(OSError("the store went away")))
        outcome = place.run("bronze.readings")
        assert (outcome.status, outcome.exit_code) == ("failed", 72)
    assert [e.status for e in ops.events(place.lake.store, "bronze.readings") if e.run == 2] == ["planned"]
    place.file("d.csv", ("south", "2026-03-07", 8.0))
    assert place.run("bronze.readings").run == 3
    assert place.rows("bronze.readings", "file", "value")[3:] == [("b.csv", 10.0), ("c.csv", 7.0), ("d.csv", 8.0)]
    assert ledger(place)[2:] == [("c.csv", 1, 2, 1, 0), ("d.csv", 1, 3, 1, 0)]


def test_the_slower_of_two_drivers_with_one_intent_is_told_and_spoils_no_books(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    other: list[str] = []

    def reached(point: str) -> None:
        if point == "planned:bronze.readings" and not other:  # another driver finds our intent open, and is faster
            other.append("began")
            other.append(place.run("bronze.readings").status)

    with monkeypatch.context() as patch:
        patch.setattr("lake.run.tables.reached", reached)
        outcome = place.run("bronze.readings")
    assert (other, outcome.exit_code) == (["began", "published"], 75)
    assert [e.status for e in ops.events(place.lake.store, "bronze.readings") if e.run == 2] == ["planned", "published"]
    assert place.run("bronze.readings").status == "nothing"
    assert place.rows("bronze.readings", "file", "value")[3:] == [("b.csv", 10.0), ("c.csv", 7.0)]


@pytest.mark.parametrize("how", ["removed", "put back"])
def test_a_table_behind_its_books_is_made_whole_again(how: str, place: Place, tmp_path: Path) -> None:
    folder = Path(place.table("silver.readings").uri)
    shutil.copytree(folder, tmp_path / "copy")
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    place.run("bronze.readings")
    place.run("silver.readings")
    shutil.rmtree(folder)
    if how == "put back":
        shutil.copytree(tmp_path / "copy", folder)
    outcome = place.run("silver.readings")
    assert (outcome.status, outcome.run) == ("published", 3)
    assert silver(place) == [*SILVER, ("south", "2026-03-06", 7.0)]
    assert place.run("silver.readings").status == "nothing"


def test_an_input_that_comes_back_does_not_double_the_rows_it_gave_before(place: Place) -> None:
    write_contract(place.project, contract("bronze.again", COLUMNS["bronze.readings"]))
    write(place.project / "jobs" / "bronze" / "again.py", JOBS["bronze.readings"].replace("bronze.readings", "bronze.again"))
    place.run("bronze.again")
    place.change("jobs/silver/readings.py", '("bronze.readings",)', '("bronze.again",)')
    assert place.run("silver.readings").status == "published"
    assert silver(place) == SILVER


def test_a_build_that_gives_nothing_does_not_empty_a_table_whose_suite_asks_for_rows(place: Place) -> None:
    rows = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}
    write_suite(place.project, "gold.totals", {"expectations": [rows]})
    place.change("jobs/gold/totals.py", "readings.groupBy", 'readings.where("value > 1000").groupBy')
    outcome = place.run("gold.totals", full=True)
    assert (outcome.status, outcome.exit_code) == ("refused", 70)
    assert "expect_table_row_count_to_be_between: FAILS: saw 0" in outcome.message
    assert place.rows("gold.totals", "station") == [("north",), ("south",)]


def test_where_the_history_of_an_input_is_gone_a_whole_table_is_built_all_the_same_and_others_say_how(place: Place) -> None:
    place.table("silver.readings").delta().delete("value = 5")
    for change in Path(place.table("silver.readings").uri).rglob("_change_data/**/*.parquet"):
        change.unlink()
    assert place.run("gold.totals").status == "published"
    assert place.rows("gold.totals", "station", "readings") == [("north", 3)]
    outcome = place.run("gold.daily")
    assert isinstance(outcome.error, SourceMissing) and outcome.exit_code == 66
    assert outcome.error.next_step.startswith("lake rebuild gold.daily")
    assert place.run("gold.daily", full=True).status == "published"


# -- made again --------------------------------------------------------------------------------------------------------


def test_changed_code_is_told_until_a_rebuild_makes_the_rows_anew(place: Place) -> None:
    place.change("jobs/gold/totals.py", '"""Every reading counts."""', '"""Another docstring is no other code."""')
    assert place.run("gold.totals").message == ""
    place.change("jobs/gold/totals.py", 'F.sum("value")', 'F.max("value")')
    outcome = place.run("gold.totals")
    assert (outcome.status, outcome.message) == ("nothing", "rows stand as older code made them; lake rebuild gold.totals")
    outcome = place.run("gold.totals", full=True)
    assert (outcome.status, outcome.message) == ("published", "")
    assert place.rows("gold.totals", "station", "total") == [("north", 10.0), ("south", 5.0)]
    outcome = place.run("gold.totals")
    assert (outcome.status, outcome.message) == ("nothing", "")


def test_a_changed_rule_of_the_raw_source_is_told(place: Place) -> None:
    place.change("schemas/raw/readings.yaml", "yyyy-MM-dd", "yyyy-M-d")
    assert place.run("bronze.readings").message == "rows stand as an older contract had them; lake rebuild bronze.readings"
    assert place.run("bronze.readings", full=True).status == "published"
    assert place.run("bronze.readings").message == ""


def test_a_file_that_is_written_between_plan_and_read_is_taken_as_it_is_then(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    seen: list[str] = []

    def reached(point: str) -> None:
        if point == "planned:bronze.readings" and not seen:
            seen.append(point)
            place.file("c.csv", ("south", "2026-03-06", 8.5))

    with monkeypatch.context() as patch:
        patch.setattr("lake.run.tables.reached", reached)
        outcome = place.run("bronze.readings")
    assert (outcome.status, outcome.run) == ("published", 3)
    assert [r for r in place.rows("bronze.readings", "file", "edition", "value") if r[0] == "c.csv"] == [("c.csv", 1, 8.5)]


def test_a_changed_contract_is_told_and_only_a_rebuild_gives_the_table_its_columns(place: Place) -> None:
    columns = [
        *COLUMNS["silver.readings"][:-1],
        {**COLUMNS["silver.readings"][-1], "maximum": 100},
        {"name": "unit", "type": "string", "required": True},
    ]
    write_contract(place.project, contract("silver.readings", columns))
    place.change("jobs/silver/readings.py", '"value")', '"value").selectExpr("*", "\'K\' as unit")')
    assert "older code" in place.run("silver.readings").message
    place.table("bronze.readings").delta().delete("value = 5")  # so that there is something to take in
    outcome = place.run("silver.readings")
    assert isinstance(outcome.error, ContractBroken) and outcome.exit_code == 65
    assert outcome.message.endswith("its rows stand against it: required column added: unit string")  # the wider range alone would be no matter
    assert "lake contract migrate silver.readings" in outcome.error.next_step
    assert silver(place) == SILVER
    outcome = place.run("silver.readings", full=True)
    assert (outcome.status, place.rows("silver.readings", "value", "unit")) == ("published", [(1.0, "K"), (10.0, "K"), (3.0, "K")])
    assert place.table("silver.readings").changes() is None


def test_a_rebuild_reads_every_file_again_and_refuses_when_one_is_gone(place: Place) -> None:
    before = place.rows("bronze.readings", "row_id", "file", "edition", "value")
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    (place.root / "raw" / "readings" / "a.csv").rename(place.root / "a.csv")
    outcome = place.run("bronze.readings", full=True)
    assert isinstance(outcome.error, SourceMissing) and outcome.exit_code == 66
    assert "1 files whose rows bronze.readings holds are gone" in outcome.message and "a.csv" in outcome.message
    assert (place.table("bronze.readings").version(), place.standing("bronze.readings").open) == (1, None)
    (place.root / "a.csv").rename(place.root / "raw" / "readings" / "a.csv")
    outcome = place.run("bronze.readings", full=True)
    assert (outcome.status, outcome.rows_in, outcome.rows_kept) == ("published", 6, 5)
    assert [r for r in place.rows("bronze.readings", "row_id", "file", "edition", "value") if r[1] != "c.csv"] == before
    assert place.run("bronze.readings").status == "nothing"


# -- many files, and files again -----------------------------------------------------------------------------------------


def test_many_files_come_in_several_runs_and_a_rebuild_takes_them_in_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.lake, "settings", place.lake.settings.model_copy(update={"run_files": 2}))
    for n in range(5):
        place.file(f"n{n}.csv", ("north", f"2026-04-0{n + 1}", 1.0), ("north", f"2026-04-0{n + 1}", "x"))
    outcome = place.run("bronze.readings")
    assert (outcome.status, outcome.run, outcome.rows_in, outcome.rows_kept, outcome.rows_rejected) == ("published", 4, 10, 5, 5)
    assert [(path, run) for path, _, run, _, _ in ledger(place) if path[0] == "n"] == [(f"n{n}.csv", 2 + n // 2) for n in range(5)]
    assert len(rejects(place, "bronze.readings")) == 6
    assert place.run("bronze.readings").status == "nothing"
    assert place.run("bronze.readings", full=True).run == 5
    assert len(place.rows("bronze.readings", "row_id")) == 9
    assert [(o.status, o.rows_kept) for o in (place.run("silver.readings"),)] == [("published", 5)]


def test_a_replay_reads_files_again_and_their_rows_take_the_place_of_the_older_ones(place: Place) -> None:
    assert files_to_replay(place.lake.store, "bronze.readings", "raw.readings", pattern="a*") == {"a.csv"}
    mended = files_to_replay(place.lake.store, "bronze.readings", "raw.readings", reason="not_a_number")
    assert mended == files_to_replay(place.lake.store, "bronze.readings", "raw.readings", reason="not_a_number:value") == {"b.csv"}
    with pytest.raises(SourceMissing, match="with rejects for header"):
        files_to_replay(place.lake.store, "bronze.readings", "raw.readings", reason="header")
    place.change("schemas/raw/readings.yaml", "      formats:", "      missing: [NA]\n      formats:")
    outcome = place.run("bronze.readings", again=Again(mended))
    assert (outcome.status, outcome.rows_in, outcome.rows_kept, outcome.rows_rejected) == ("published", 2, 2, 0)
    rows = place.rows("bronze.readings", "file", "edition", "line", "value")
    assert rows == [("a.csv", 1, 2, 1.0), ("a.csv", 1, 3, 3.0), ("a.csv", 1, 4, 5.0), ("b.csv", 1, 2, 10.0), ("b.csv", 1, 3, None)]
    assert ledger(place) == [("a.csv", 1, 1, 3, 0), ("b.csv", 1, 1, 1, 1), ("b.csv", 1, 2, 2, 0)]
    assert counted(place.lake.store, "bronze.readings") == []
    assert place.run("silver.readings").rows_in == 1  # the row that came back; the others are the same
    downstream = {a: v for a, v in place.versions().items() if a.startswith("gold.")}
    assert place.run("bronze.readings", again=Again(frozenset({"a.csv", "b.csv"}))).rows_kept == 5
    assert place.rows("bronze.readings", "file", "edition", "line", "value") == rows
    assert [place.run(a).status for a in ORDER[1:]] == ["nothing"] * 3
    assert downstream == {a: v for a, v in place.versions().items() if a.startswith("gold.")}


def test_a_replay_that_was_cut_short_is_ended_by_the_next_run_and_files_that_are_gone_keep_their_rows(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(point: str) -> None:
        if point == "staged:bronze.readings":
            raise Died

    (place.root / "raw" / "readings" / "b.csv").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("lake.run.tables.reached", reached)
        with pytest.raises(Died):
            place.run("bronze.readings", again=Again(frozenset({"a.csv", "b.csv"})))
    before = place.rows("bronze.readings", "file", "ordinal")
    assert place.run("bronze.readings").status == "published"
    assert place.rows("bronze.readings", "file", "ordinal") == before
    assert ledger(place) == [("a.csv", 1, 1, 3, 0), ("a.csv", 1, 2, 3, 0), ("b.csv", 1, 1, 1, 1)]


# -- slices ------------------------------------------------------------------------------------------------------------

DAY_0 = date(2026, 1, 1)
days = st.integers(0, 14).map(lambda n: DAY_0 + timedelta(n))


def test_a_backfill_builds_the_slices_that_it_names_and_no_other(place: Place) -> None:
    place.change("jobs/gold/daily.py", 'F.sum("value").alias("total")', '(F.sum("value") + 100).alias("total")')
    outcome = place.run("gold.daily", again=Again(slices=("2026-03-02", "2026-03-04")))
    assert outcome.status == "published"
    # The 2nd, and the 3rd if it were there; the 5th does not look back on them.
    assert [(day, total) for _, day, total, _ in daily(place)] == [
        ("2026-03-01", 1.0),
        ("2026-03-02", 103.0),
        ("2026-03-05", 10.0),
        ("2026-03-02", 105.0),
    ]
    rows = daily(place)
    assert place.run("gold.daily", again=Again(slices=("2026-03-02", "2026-03-04"))).status == "published"
    assert daily(place) == rows
    assert place.run("gold.daily").status == "nothing"


@settings(max_examples=300, derandomize=True, deadline=None)
@given(known=st.sets(days, min_size=1), touched=st.sets(days), back=st.integers(0, 80), width=st.sampled_from([1, 2, 7]))
def test_every_slice_that_depends_on_a_touched_one_is_built_and_all_that_it_looks_back_on_is_read(
    known: set[date], touched: set[date], back: int, width: int
) -> None:
    """Slices are `width` days long; by brute force over all hours: a slice depends on the hours from its start - back to its end."""
    start = {d: DAY_0 + width * (d - DAY_0) for d in known | touched}
    known, touched = {start[d] for d in known}, {start[d] for d in touched}
    hours = Job("gold.x", ("silver.x",), "slice", f"{back} hours" if back else None)
    built, needed = slices_to_build(touched, sorted(known), hours)

    def overlap(slice_: date, other: date) -> bool:
        """Whether `slice_` looks on hours of `other`."""
        gap = (slice_ - other).total_seconds() / 3600  # from start to start
        return slice_ == other or (gap > 0 and gap - 24 * width < back)

    assert {k for k in known if any(overlap(k, t) for t in touched)} <= set(built)
    assert {k for k in known if any(overlap(b, k) for b in built)} <= set(needed)
    assert touched <= set(built) <= touched | known and set(built) <= set(needed)
    if not back:
        assert set(built) == set(needed) == touched


@pytest.mark.parametrize(
    "touched, back, built, needed",
    [
        ([1], None, [1], [1]),
        ([1], "1 day", [1, 2], [0, 1, 2]),
        ([2], "1 day", [2, 9], [1, 2, 9]),  # where the 2nd ends is not known, only that the next slice is the 9th: one too many
        ([1], "2 days", [1, 2], [0, 1, 2]),
        ([], "2 days", [], []),
        ([5], "1 day", [5, 9], [2, 5, 9]),  # a slice that is gone
    ],
)
def test_slices_to_build(touched: list[int], back: str | None, built: list[int], needed: list[int]) -> None:
    def on(numbers: list[int]) -> list[date]:
        return [DAY_0 + timedelta(n) for n in numbers]

    assert slices_to_build(set(on(touched)), on([0, 1, 2, 9]), Job("gold.x", ("silver.x",), "slice", back)) == (on(built), on(needed))


def test_slices_that_are_asked_for_reach_no_later_ones() -> None:
    known = [DAY_0 + timedelta(n) for n in (0, 1, 2, 9)]
    assert slices_to_build(set(), known, Job("gold.x", ("silver.x",), "slice", "1 day"), [known[1]]) == ([known[1]], known[:2])


def test_a_job_by_slices_needs_a_contract_that_is_partitioned_by_its_slice(place: Place) -> None:
    columns = [{k: v for k, v in c.items() if k != "partitioned"} for c in COLUMNS["silver.readings"]]
    write_contract(place.project, contract("silver.readings", columns))
    place.change("jobs/silver/readings.py", '("bronze.readings",)', '("bronze.readings",), grain="slice"')
    place.table("bronze.readings").delta().delete("value = 5")
    outcome = place.run("silver.readings")
    assert isinstance(outcome.error, ContractBroken)
