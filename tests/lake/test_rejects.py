"""What was set aside comes back through the same gate, once, whatever is run again; who waives says why.

Each test goes on from a copy of one lake after its first night (tests/lake/project.py): line 3 of b.csv has a cell that is no number.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake import ops, rejects
from lake.errors import ContractBroken, SettingsWrong, SourceMissing
from lake.rejects import Fate, Which, cell, export, fates, reopen, repair_by_file, repair_by_sql, uncell, waive
from lake.report.rejects import counted
from lake.run import Again
from tests.lake.project import COLUMNS, JOBS, ORDER, Place, contract, copied, write, write_contract

ROOT = Path(__file__).resolve().parents[2]
BRONZE, SILVER, DAILY, TOTALS = ORDER
WHO = ("ada", "the station's paper log says so")


def by_sql(place: Place, address: str, *sets: str, **which: Any) -> int:
    return repair_by_sql(place.lake.store, lambda: place.spark, address, Which(**which), sets, *WHO)


def by_file(place: Place, address: str, path: Path) -> int:
    return repair_by_file(place.lake.store, lambda: place.spark, address, path, *WHO)


def states(place: Place, address: str) -> list[tuple[Any, ...]]:
    found = fates(place.lake.store, address, back=True)
    return sorted((f.reject["row_id"] if "," in f.reject["row_id"] else f.reject["line"], f.state, f.reject["reasons"][0]) for f in found)


def b_csv(place: Place) -> list[tuple[object, ...]]:
    return [r[1:] for r in place.rows(BRONZE, "file", "line", "station", "day", "value") if r[0] == "b.csv"]


NORTH, SOUTH = (2, "north", "2026-03-05", 10.0), (3, "south", "2026-03-05", 7.5)


# -- the way back ------------------------------------------------------------------------------------------------------


def test_a_record_comes_back_once_and_stays_through_a_replay_a_rebuild_and_a_second_call(place: Place) -> None:
    assert by_sql(place, BRONZE, "value = cast(replace(split(raw, ',')[2], 'NA', '7.5') as double)", reason="not_a_number") == 1
    assert (states(place, BRONZE), b_csv(place)) == ([(3, "waiting", "not_a_number:value")], [NORTH])
    outcome = place.run(BRONZE)
    assert (outcome.status, outcome.rows_kept, outcome.rows_rejected) == ("published", 2, 0)
    assert (states(place, BRONZE), b_csv(place)) == ([(3, "back", "not_a_number:value")], [NORTH, SOUTH])
    assert counted(place.lake.store, BRONZE) == []
    assert by_sql(place, BRONZE, "value = 7.5", reason="not_a_number") == 0
    assert place.run(BRONZE).status == "nothing"
    place.run(BRONZE, again=Again(frozenset({"b.csv"})))
    assert b_csv(place) == [NORTH, SOUTH]
    place.run(BRONZE, full=True)
    assert (states(place, BRONZE), b_csv(place)) == ([(3, "back", "not_a_number:value")], [NORTH, SOUTH])
    assert [place.run(a).status for a in ORDER[1:]] == ["published"] * 3
    assert place.rows(TOTALS, "station", "readings", "total") == [("north", 3, 14.0), ("south", 2, 12.5)]
    versions = place.versions()
    assert {o.status for o in place.night().values()} == {"nothing"}
    assert place.versions() == versions


def test_a_row_comes_back_at_every_grain_and_one_that_is_still_wrong_is_set_aside_again_with_its_reasons(place: Place) -> None:
    place.file("c.csv", ("west", "2026-03-04", 4.0), ("north", "2026-03-04", -60.0))
    assert place.run(BRONZE).rows_kept == place.run(SILVER).rows_rejected == 2
    before = place.rows(SILVER, "row_id", "station", "day", "value")
    assert by_sql(place, SILVER, "station = 'south'", "value = value * 100", reason="not_allowed") == 1  # 400 is out of range
    assert by_sql(place, SILVER, "value = -value / 10", reason="out_of_range:value") == 1
    outcome = place.run(SILVER)
    assert (outcome.status, outcome.rows_in, outcome.rows_kept, outcome.rows_rejected) == ("published", 2, 1, 1)
    [again] = counted(place.lake.store, SILVER)
    assert (again["reasons"], json.loads(again["row"])["station"]) == (["out_of_range:value"], "south")
    assert by_sql(place, SILVER, "value = value / 100", reason="out_of_range") == 1  # of the row as it was repaired before
    place.run(SILVER)
    assert counted(place.lake.store, SILVER) == []
    mended = [("north", "2026-03-04", 6.0), ("south", "2026-03-04", 4.0)]
    after = place.rows(SILVER, "row_id", "station", "day", "value")
    assert sorted(r[1:] for r in set(after) - set(before)) == mended and set(before) <= set(after) and len(after) == len(before) + 2
    assert place.run(SILVER, full=True).rows_rejected == 0
    assert place.rows(SILVER, "row_id", "station", "day", "value") == after
    place.run(BRONZE, again=Again(frozenset({"c.csv"})))
    assert (place.run(SILVER).status, place.rows(SILVER, "row_id", "station", "day", "value")) == ("nothing", after)


def test_slices_and_whole_tables_take_in_what_was_decided_about_their_own_rows_and_build_no_more_than_that(place: Place) -> None:
    columns = [c | ({"maximum": 8, "minimum": 0} if c["name"] == "total" else {}) for c in COLUMNS[DAILY]]
    write_contract(place.project, contract(DAILY, columns))
    write_contract(place.project, contract(TOTALS, [c | ({"maximum": 12} if c["name"] == "total" else {}) for c in COLUMNS[TOTALS]]))
    assert place.run(DAILY, full=True).rows_rejected == place.run(TOTALS, full=True).rows_rejected == 1
    others = {f.path for f in place.table(DAILY).snapshot().files}
    for address in (DAILY, TOTALS):
        assert by_sql(place, address, "total = 8", reason="out_of_range:total") == 1
        assert (place.run(address).status, place.run(address).status) == ("published", "nothing")
        assert [s[1] for s in states(place, address) if isinstance(s[0], str)] == (["back"] if address == DAILY else [])
        assert counted(place.lake.store, address) == []
    assert place.rows(DAILY, "station", "day", "total")[2:3] == [("north", "2026-03-05", 8.0)] and others < {
        f.path for f in place.table(DAILY).snapshot().files
    }
    assert place.rows(TOTALS, "station", "total") == [("north", 8.0), ("south", 5.0)]
    place.run(DAILY, again=Again(slices=("2026-03-05", "2026-03-05")))
    place.run(TOTALS, full=True)
    assert len(place.rows(DAILY, "station")) == 4 and place.rows(TOTALS, "station", "total") == [("north", 8.0), ("south", 5.0)]
    with pytest.raises(ContractBroken, match="day, station says which row it is"):
        by_sql(place, DAILY, "day = date'2026-03-06'", "station = 'x'") if reopen(place.lake.store, DAILY, Which(), *WHO) and place.run(
            DAILY
        ) else None
    assert counted(place.lake.store, DAILY)[0]["reasons"] == ["out_of_range:total"]  # a decision that was taken back


def test_a_decision_holds_for_the_content_that_it_was_made_for(place: Place) -> None:
    """The file grows, and the row stays; it is overwritten, and another row is left alone; it comes back, and so does its repair."""
    by_sql(place, BRONZE, "value = 7.5", reason="not_a_number")
    place.run(BRONZE)
    text = (place.root / "raw" / "readings" / "b.csv").read_text()
    write(place.root / "raw" / "readings" / "b.csv", text + "north,2026-03-06,1.0\n")
    place.run(BRONZE)
    assert b_csv(place) == [NORTH, SOUTH, (4, "north", "2026-03-06", 1.0)]
    write(place.root / "raw" / "readings" / "b.csv", text.replace("south,2026-03-05", "south,2026-03-09"))
    place.run(BRONZE)
    assert (b_csv(place), states(place, BRONZE)) == ([NORTH], [(3, "open", "not_a_number:value")])
    write(place.root / "raw" / "readings" / "b.csv", "station,day,value\nnorth,2026-03-05,10.0\nsouth,2026-03-09,1.0\n")
    place.run(BRONZE)
    assert (b_csv(place)[1][1:], states(place, BRONZE)) == (("south", "2026-03-09", 1.0), [(3, "moot", "not_a_number:value")])
    write(place.root / "raw" / "readings" / "b.csv", text)
    place.run(BRONZE)
    assert b_csv(place) == [NORTH, SOUTH]


def test_a_restore_gives_a_decision_back_to_be_taken_in_again(place: Place) -> None:
    from lake.restore import restore

    by_sql(place, BRONZE, "value = 7.5", reason="not_a_number")
    place.run(BRONZE)
    restore(place.lake, BRONZE, 1)
    assert (states(place, BRONZE), b_csv(place)) == ([(3, "waiting", "not_a_number:value")], [NORTH])
    assert (place.run(BRONZE).status, b_csv(place)) == ("published", [NORTH, SOUTH])


def test_kill_9_between_a_decision_and_its_run_loses_nothing_and_doubles_nothing(
    first_night: Path, tmp_path: Path, store_home: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.at(copied(first_night, tmp_path / "place"), store_home, spark)
    monkeypatch.setenv("LAKE_PROJECT", str(place.project))
    env = os.environ | {"LAKE_ROOT": str(place.root), "LAKE_HOME": str(store_home), "LAKE_HOLD_AT": f"decided:{BRONZE}"}
    env |= {"LAKE_MASTER": "local[1]", "LAKE_DRIVER_MEMORY": "1g"}
    words = ["rejects", "repair", BRONZE, "--reason", "not_a_number", "--set", "value = 7.5", "--by", "ada", "--because", "paper log"]
    child = subprocess.Popen(
        [sys.executable, "-m", "lake.cli", *words], env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    said: list[str] = []
    with child.stdout:
        while not said or (said[-1] and not said[-1].startswith("holding at")):
            said.append(child.stdout.readline())
        child.kill()
    assert child.wait() == -9, "".join(said)
    assert (states(place, BRONZE), b_csv(place)) == ([(3, "waiting", "not_a_number:value")], [NORTH])
    assert (by_sql(place, BRONZE, "value = 7.5", reason="not_a_number"), rejects.pending(place.lake.store, BRONZE)) == (0, True)
    assert (place.run(BRONZE).status, b_csv(place)) == ("published", [NORTH, SOUTH])
    assert (len(ops.read(place.lake.store, "repairs")), rejects.pending(place.lake.store, BRONZE)) == (1, False)


@pytest.mark.parametrize("point", ["planned", "committed"])
def test_a_run_that_died_over_a_decision_is_ended_by_the_next_one(point: str, place: Place) -> None:
    place.file("c.csv", ("north", "2026-03-04", -60.0))
    place.run(BRONZE)
    place.run(SILVER)
    by_sql(place, SILVER, "value = 6.0", reason="out_of_range")
    place.dies(point, SILVER)
    place.run(SILVER)
    assert [r for r in place.rows(SILVER, "day", "value") if r[0] == "2026-03-04"] == [("2026-03-04", 6.0)]
    assert (counted(place.lake.store, SILVER), place.run(SILVER).status) == ([], "nothing")


def test_a_row_of_bronze_that_broke_its_contract_keeps_its_repair_when_its_file_grows_and_in_a_rebuild(place: Place) -> None:
    write_contract(
        place.project, contract(BRONZE, [c | ({"allowed": ["north", "south"]} if c["name"] == "station" else {}) for c in COLUMNS[BRONZE]])
    )
    path = place.file("c.csv", ("west", "2026-03-04", 4.0), ("east", "2026-03-04", 5.0))
    assert place.run(BRONZE, full=True).rows_rejected == 3
    assert by_sql(place, BRONZE, "station = 'south'", reason="not_allowed") == 2
    for grown in ("", "north,2026-03-06,6.0\n"):
        write(path, path.read_text() + grown)
        place.run(BRONZE, full=bool(grown))
        c_csv = [r[1:] for r in place.rows(BRONZE, "file", "line", "station", "value") if r[0] == "c.csv"]
        assert c_csv == [(2, "south", 4.0), (3, "south", 5.0), *([(4, "north", 6.0)] if grown else [])]
    assert [s for s in states(place, BRONZE) if s[2] == "not_allowed:station"] == [
        (2, "back", "not_allowed:station"),
        (3, "back", "not_allowed:station"),
    ]
    assert by_sql(place, BRONZE, "value = 7.5", file="b.csv") == 1
    write(place.project / "jobs" / "bronze" / "readings.py", JOBS[BRONZE].replace('"value")', '"value").withColumn("value", F.col("value") * 2)')
          .replace("from lake import", "from pyspark.sql import functions as F\n\nfrom lake import"))  # fmt: skip
    place.run(BRONZE, full=True)  # the record's repair goes through the mended build; the rows are others now, and judged as they are
    assert b_csv(place)[1][3] == 15.0
    assert sorted(s[:2] for s in states(place, BRONZE)) == [(2, "open"), (3, "back"), (3, "open")]


def test_an_intent_that_was_cut_short_has_its_own_decisions_and_newer_ones_come_after_it(place: Place) -> None:
    place.file("c.csv", ("north", "2026-03-04", -60.0), ("west", "2026-03-04", 4.0))
    place.run(BRONZE)
    place.run(SILVER)
    by_sql(place, SILVER, "value = 6.0", reason="out_of_range")
    place.dies("planned", SILVER)
    by_sql(place, SILVER, "station = 'south'", reason="not_allowed")
    outcome = place.run(SILVER)
    assert (outcome.status, outcome.run, outcome.rows_kept) == ("published", 4, 2)
    assert (counted(place.lake.store, SILVER), place.run(SILVER).status) == ([], "nothing")


# -- a repaired file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_exported_file_comes_back_repaired_and_a_second_time_changes_nothing(kind: str, place: Place, tmp_path: Path) -> None:
    place.file("c.csv", ("=west", "2026-03-04", 4.0), ("north", "2026-03-04", -60.0), ("south", "2026-03-04", "?"))
    place.run(BRONZE)
    place.run(SILVER)
    for address, rows in ((SILVER, 2), (BRONZE, 2)):
        path = tmp_path / f"{address}.{kind}"
        assert export(fates(place.lake.store, address), path) == rows
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        if address == SILVER:
            assert ("'=west" if kind == "csv" else '"station": "=west"') in text
        mended = mend(path, kind, {"=west": "south", "north": "north"} if address == SILVER else {}, value=6.0)
        assert by_file(place, address, path) == mended
        place.run(address)
        assert counted(place.lake.store, address) == []
        assert (by_file(place, address, path), len(ops.read(place.lake.store, "repairs", [("address", "=", address)]))) == (0, 2)
    assert [r for r in place.rows(SILVER, "station", "day", "value") if r[1] == "2026-03-04"] == [
        ("north", "2026-03-04", 6.0),
        ("south", "2026-03-04", 6.0),
    ]
    assert b_csv(place)[1][3] == 6.0


def mend(path: Path, kind: str, stations: dict[str, str], value: float) -> int:
    """Repair an exported file as a person would; how many rows."""
    if kind == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row |= {"value": value} | ({"station": stations[row["station"]]} if stations else {})
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row |= {"value": str(value)} | ({"station": stations[row["station"].lstrip("'")]} if stations else {})
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=";")  # as a spreadsheet of another country saves it
            writer.writeheader()
            writer.writerows(rows)
    return len(rows)


def test_a_file_with_a_row_that_is_wrong_is_refused_as_a_whole_with_a_list(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    export(fates(place.lake.store, BRONZE), path)
    row = json.loads(path.read_text())
    for wrong, told in [
        ({"_reject": "feedfeedfeedfeed", "value": 1.0}, "line 2: feedfeedfeedfeed is no reject of bronze.readings"),
        ({"_line": 9}, "line 2: _line is not to be changed"),
        ({"row_id": "x"}, "line 2: row_id is not to be changed"),
        ({"station": "south"}, "set also value"),
        ({"value": "seven"}, "value 'seven' is no double"),
    ]:
        write(path, json.dumps(row) + "\n" + json.dumps(row | wrong) + "\n")
        with pytest.raises(ContractBroken, match=told):
            by_file(place, BRONZE, path)
    write(path, f"{json.dumps(row | {'value': 1.0})}\n" * 2)
    with pytest.raises(ContractBroken, match="more than one row for"):
        by_file(place, BRONZE, path)
    assert ops.read(place.lake.store, "repairs") == []
    with pytest.raises(SettingsWrong, match=r"neither .csv nor .jsonl"):
        export([], tmp_path / "out.xlsx")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(alphabet=st.sampled_from("=+-@\t\r\n'a1 ＝\""), max_size=6) | st.text())
def test_no_text_of_an_export_is_a_formula_and_each_comes_back_as_it_was(text: str) -> None:
    written = cell(text)
    assert uncell(written) == text
    assert not written.startswith(tuple("=+-@\t\r\n＝＋－＠"))


@pytest.mark.parametrize(("value", "written"), [(None, ""), (-5.5, "-5.5"), (7, "7"), (True, "true"), ([1, "a"], '[1, "a"]'), ("-5", "'-5")])
def test_numbers_are_numbers_in_a_cell(value: object, written: str) -> None:
    assert cell(value) == written


# -- an expression -----------------------------------------------------------------------------------------------------


def test_an_expression_that_is_wrong_changes_nothing_and_is_told(place: Place) -> None:
    place.file("c.csv", ("west", "2026-03-04", 4.0))
    place.file("d.csv", ("south", "2026-3-x", "?"))
    write(place.root / "raw" / "readings" / "e.csv", "day,value\n2026-03-04,1.0\n")
    place.run(BRONZE)
    place.run(SILVER)
    for address, sets, which, told in [
        (SILVER, ("station = nobody",), {}, "there is no column nobody: there are day, row_id, station, value"),
        (SILVER, ("station = (select 'south')",), {}, "it asks for more than the row"),
        (SILVER, ("station = reflect('java.lang.System', 'exit')",), {}, "reflect reaches out of the row"),
        (SILVER, ("value = cast('x' as double)",), {}, "CAST_INVALID_INPUT"),
        (SILVER, ("value = explode(array(1, 2))",), {}, "another number of rows|UNSUPPORTED_GENERATOR"),
        (SILVER, ("value = sum(value)",), {}, "MISSING_GROUP_BY|_AGGREGATE"),
        (SILVER, ("station = ",), {}, "no `column = expression`"),
        (SILVER, ("station = upper(",), {}, "PARSE_SYNTAX_ERROR"),
        (SILVER, ("station = 'west'",), {}, "is as it was"),
        (SILVER, ("row_id = 'x'",), {}, "row_id says which row it is, and can't be set"),
        (SILVER, ("colour = 'x'",), {}, "has no column colour"),
        (BRONZE, ("value = 1.0",), {"file": "d.csv"}, "set also day"),
        (BRONZE, ("value = 1.0",), {"file": "e.csv"}, "e.csv was set aside as a whole"),
        (BRONZE, ("colour = 1.0",), {"file": "b.csv"}, "raw.readings has no field colour"),
    ]:  # fmt: skip
        with pytest.raises(ContractBroken, match=told):
            by_sql(place, address, *sets, **which)
    with pytest.raises(SourceMissing, match="for reason nothing"):
        by_sql(place, SILVER, "station = 'south'", reason="nothing")
    assert ops.read(place.lake.store, "repairs") == []


# -- waived ------------------------------------------------------------------------------------------------------------


def test_what_is_waived_is_open_no_more_until_it_is_reopened_and_no_run_follows_from_it(place: Place) -> None:
    store = place.lake.store
    with pytest.raises(SettingsWrong, match="a name and a reason"):
        waive(store, BRONZE, Which(), "ada", " ")
    assert (waive(store, BRONZE, Which(reason="not_a_number"), *WHO), waive(store, BRONZE, Which(reason="not_a_number"), *WHO)) == (1, 0)
    [fate] = fates(store, BRONZE)
    assert (fate.state, fate.decision and fate.decision["by"], len(counted(store, BRONZE))) == ("waived", "ada", 1)
    assert place.run(BRONZE).status == "nothing"
    place.run(BRONZE, again=Again(frozenset({"b.csv"})))
    assert [f.state for f in fates(store, BRONZE)] == ["waived"]
    assert reopen(store, BRONZE, Which(ids=(fate.id,)), *WHO) == 1
    assert ([f.state for f in fates(store, BRONZE)], place.run(BRONZE).status) == (["open"], "nothing")
    with pytest.raises(SourceMissing, match="has no reject that is waiting or waived"):
        reopen(store, BRONZE, Which(), *WHO)


def test_a_repair_that_is_taken_back_sets_its_row_aside_again(place: Place) -> None:
    by_sql(place, BRONZE, "value = 7.5", reason="not_a_number")
    place.run(BRONZE)
    assert reopen(place.lake.store, BRONZE, Which(), *WHO) == 1
    place.run(BRONZE)
    assert (states(place, BRONZE), b_csv(place)) == ([(3, "open", "not_a_number:value")], [NORTH])


def test_ids_name_a_row_with_its_content_in_whatever_run(place: Place) -> None:
    ids = [f.id for f in fates(place.lake.store, BRONZE)]
    place.run(BRONZE, full=True)
    assert [f.id for f in fates(place.lake.store, BRONZE)] == ids
    row: dict[str, Any] = {"row_id": "a", "raw": None, "row": '{"row_id": "a", "value": 1.0}'}
    assert len({Fate(SILVER, row | {"row": text}, "open").id for text in ('{"value": 1.0, "row_id": "a"}', row["row"], '{"value": 2.0}')}) == 2
