"""Upkeep makes many small files few, lets old rows and files go, keeps what is pinned, and the second time does nothing."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import TableFeatures, write_deltalake
from deltalake.exceptions import CommitFailedError

from lake import ops
from lake.errors import SourceMissing
from lake.table import Table
from lake.upkeep import tend
from tests.lake.project import Place

DAY_1, DAY_2 = (datetime(2026, 3, n, tzinfo=UTC).date() for n in (1, 2))


def add(table: Table, *rows: dict[str, object]) -> None:
    """One commit with one file a day; no run of ours."""
    write_deltalake(table.uri, pa.Table.from_pylist(list(rows), schema=table.contract.schema), mode="append")


def row(n: int, day: object = DAY_1) -> dict[str, object]:
    return {"row_id": f"{n}", "station": "north", "day": day, "value": float(n)}


def test_eight_small_files_of_one_day_become_one_and_downstream_sees_nothing_new(place: Place) -> None:
    table = place.table("silver.readings")
    for n in range(6):
        add(table, row(n), row(10 + n, DAY_2))
    assert tend(place.lake, ["silver.readings"]) == []  # seven small files are borne
    add(table, row(6))
    before, rows, runs = table.version() or 0, place.rows("silver.readings", "row_id"), table.last_run()
    [done] = tend(place.lake, ["silver.readings"])
    assert (done.address, done.compacted, done.vacuumed, done.expired) == ("silver.readings", 15, 0, 0)
    assert len(table.snapshot().files) == 3  # one a day
    assert (place.rows("silver.readings", "row_id"), table.last_run()) == (rows, runs)
    assert table.changed(place.spark, before, table.version() or 0).empty
    version = table.version()
    assert tend(place.lake, ["silver.readings"]) == []
    assert table.version() == version


def test_many_days_with_a_file_each_are_as_they_should_be(place: Place) -> None:
    table = place.table("silver.readings")
    add(table, *[row(n, DAY_1 + timedelta(n)) for n in range(20)])
    version = table.version()
    assert (tend(place.lake, ["silver.readings"]), table.version()) == ([], version)


def test_files_that_no_version_needs_go_and_those_of_a_pinned_one_stay(place: Place) -> None:
    table = place.table("silver.readings")
    add(table, row(1))
    pinned = table.snapshot()
    card = {"files": [], "manifest": json.loads(pinned.to_json())}
    place.lake.store.put("models/toy/1/card.json", json.dumps(card).encode())
    table.delta().delete("row_id = '1'")
    add(table, row(2))
    unpinned = table.snapshot()
    table.delta().delete("row_id = '2'")
    orphan = table.uri + "/day=2026-03-01/staged-by-a-run-that-died.parquet"
    young = table.uri + "/day=2026-03-01/staged-just-now.parquet"
    for path in (orphan, young):
        pq.write_table(pa.table({"row_id": ["x"]}), path)
    assert tend(place.lake, ["silver.readings"]) == []  # all of it is younger than a week
    old = (datetime.now(UTC) - timedelta(8)).timestamp()
    os.utime(orphan, (old, old))
    [done] = tend(place.lake, ["silver.readings"])
    assert done.vacuumed == 1 and not Path(orphan).exists() and Path(young).exists()

    table.delta().alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 hours"})
    version = table.version()
    [done] = tend(place.lake, ["silver.readings"])
    gone = {f.path for f in unpinned.files} - {f.path for f in (*pinned.files, *table.snapshot().files)}
    assert len(gone) == 1 < done.vacuumed and not any(Path(f).exists() for f in (*gone, young))
    assert table.snapshot(pinned.version) == pinned
    assert sum(pq.read_metadata(f.path).num_rows for f in pinned.files) == pinned.rows == 5
    assert (tend(place.lake, ["silver.readings"]), table.version()) == ([], version)  # nobody downstream has anything to look at

    # After the log's 30 days the pinned version can't be read by its number any more: its files stay all the same.
    table.delta().create_checkpoint()
    for path in Path(table.uri, "_delta_log").glob("*"):
        if path.name[:20].isdigit() and int(path.name[:20]) < (version or 0):
            path.unlink()
    with pytest.raises(SourceMissing):
        table.snapshot(pinned.version)
    assert tend(place.lake, ["silver.readings"]) == []
    assert all(Path(f.path).exists() for f in pinned.files)


def test_rows_of_the_books_go_after_their_retention_but_never_what_the_next_run_must_know(place: Place) -> None:
    store, old = place.lake.store, datetime.now(UTC) - timedelta(400)
    check = {"address": "silver.readings", "run": 1, "at": old, "rule": "r", "severity": "info", "success": True, "message": "m"}
    ops.append(store, "checks", [check, check | {"at": ops.now(), "rule": "young"}])

    def event(run: int, status: str, full: bool) -> dict[str, object]:
        return {
            "address": "silver.quiet",
            "run": run,
            "status": status,
            "at": old + timedelta(run),
            "inputs": "{}",
            "full": full,
            "code": "c",
            "contract": "c",
        }

    runs = [(1, True), (2, False), (3, True), (4, False), (5, False)]
    ops.append(store, "runs", [event(n, s, full) for n, full in runs for s in ("planned", "published")])
    before = ops.standing(ops.events(store, "silver.quiet"), 5)
    assert before.made is not None and (before.made.run, before.last and before.last.run) == (3, 5)

    done = {t.address: t.expired for t in tend(place.lake, ["ops.checks", "ops.runs"])}
    assert done == {"ops.checks": 1, "ops.runs": 4}
    assert "young" in {r["rule"] for r in ops.read(store, "checks")} and "r" not in {r["rule"] for r in ops.read(store, "checks")}
    after = ops.standing(ops.events(store, "silver.quiet"), 5)
    assert (after.last, after.made, after.next_run, after.taken) == (before.last, before.made, before.next_run, before.taken)
    assert tend(place.lake, ["ops.checks", "ops.runs"]) == []


def test_a_table_that_cannot_be_tended_is_told_and_holds_up_no_other(place: Place) -> None:
    silver = place.table("silver.readings")
    silver.delta().alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    old = datetime.now(UTC) - timedelta(400)
    check = {"address": "gold.daily", "run": 1, "at": old, "rule": "r", "severity": "info", "success": True, "message": "m"}
    ops.append(place.lake.store, "checks", [check])
    (place.project / "schemas" / "gold" / "totals.yaml").write_text("id: [")
    done = {t.address: t for t in tend(place.lake, ["gold.totals", "silver.readings", "ops.checks"])}
    assert "is not YAML" in done["gold.totals"].problem
    assert "has deletionVectors" in done["silver.readings"].problem
    assert (done["ops.checks"].expired, done["ops.checks"].problem) == (1, "")


def test_what_was_done_before_a_conflict_is_told_with_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def conflict(*_: object) -> None:
        raise CommitFailedError("a concurrent transaction deleted the same data\nmore of it")

    check = {"address": "gold.daily", "run": 1, "rule": "r", "severity": "info", "success": True, "message": "m"}
    ops.append(place.lake.store, "checks", [check | {"at": datetime.now(UTC) - timedelta(400)}])
    monkeypatch.setattr("lake.upkeep._vacuum", conflict)
    [done] = tend(place.lake, ["ops.checks"])
    assert done.sentence() == (
        "0 files compacted, 0 removed, 1 rows expired; then: CommitFailedError: a concurrent transaction deleted the same data"
    )


def test_while_a_card_cannot_be_read_no_data_file_is_removed(place: Place) -> None:
    table, old = place.table("silver.readings"), (datetime.now(UTC) - timedelta(8)).timestamp()
    orphan = Path(table.uri, "day=2026-03-01/staged-by-a-run-that-died.parquet")
    pq.write_table(pa.table({"row_id": ["x"]}), orphan)
    os.utime(orphan, (old, old))
    place.lake.store.put("models/toy/1/card.json", json.dumps({"files": []}).encode())
    [told] = tend(place.lake, ["silver.readings"])
    assert told.address == "models" and "models.toy version 1 has a card that can't be read" in told.problem
    assert orphan.exists()
    place.lake.store.delete("models/toy/1/card.json")
    [done] = tend(place.lake, ["silver.readings"])
    assert (done.vacuumed, orphan.exists()) == (1, False)


def test_what_a_dead_publish_left_goes_after_a_week_but_nothing_that_a_card_names(place: Place) -> None:
    store, old = place.lake.store, (datetime.now(UTC) - timedelta(8)).timestamp()
    kept, dead, raced, young = (f"models/toy/{n}/{h * 16}/head/weights" for n, h in [(1, "a"), (2, "b"), (1, "c"), (3, "d")])
    for key in (kept, dead, raced, young):
        store.put(key, b"w")
        os.utime(place.root / key, (old, old))
    store.put(f"models/toy/3/{'d' * 16}/config.json", b"w")  # of the same dead version, but no week has passed since
    manifest = json.loads(place.table("silver.readings").snapshot().to_json())
    file = {"name": "head/weights", "key": kept, "size": 1, "sha256": "-"}
    store.put("models/toy/1/card.json", json.dumps({"files": [file], "manifest": manifest}).encode())
    store.put("models/toy/champion/1.json", b"{}")
    with place.lake.writing("models.toy"):
        [told] = tend(place.lake, ["models.toy"])
        assert (told.vacuumed, told.problem) == (0, "another process is writing models.toy")
    [done] = tend(place.lake, ["models.toy"])
    assert (done.address, done.vacuumed) == ("models.toy", 2)
    assert [store.get(k) is not None for k in (kept, dead, raced, young, "models/toy/champion/1.json")] == [True, False, False, True, True]
    assert tend(place.lake, ["models.toy"]) == []


@pytest.mark.parametrize("address", ["raw.readings", "gold.nothing"])
def test_what_is_no_table_is_left_alone(address: str, place: Place) -> None:
    assert tend(place.lake, [address]) == []
