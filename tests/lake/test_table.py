"""A table is made as its contract says, shows nothing before its commit, and takes each run number once, whoever repeats it."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.errors import Busy, ContractBroken, SourceMissing
from lake.store import Store
from lake.table import ALL, Changes, FilePin, Manifest, Replaced, Staged, Table
from tests.lake.project import contract, write_contract

READINGS = [
    {"name": "id", "type": "string", "key": 1},
    {"name": "day", "type": "date", "required": True, "partitioned": True},
    {"name": "value", "type": "double", "minimum": -50, "maximum": 60},
]
PEOPLE = [
    {"name": "id", "type": "bigint", "key": 1},
    {"name": "name", "type": "string", "classification": "personal"},
    {"name": "born", "type": "date", "classification": "personal"},
    {"name": "seen", "type": "timestamp", "required": True},
    {"name": "weight", "type": "double", "minimum": 0, "maximum": 500},
    {"name": "tags", "type": "array<string>"},
    {"name": "marks", "type": "array<struct<kind:string,token:string>>"},
    {"name": "pieces", "type": "int"},
    {"name": "raw", "type": "binary"},
    {"name": "fine", "type": "boolean"},
]
GAUGES = [
    {"name": "id", "type": "bigint", "key": 1, "minimum": 1},
    {"name": "least", "type": "double", "minimum": 0},
    {"name": "most", "type": "float", "maximum": 0.5},
    {"name": "share", "type": "double", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"name": "free", "type": "double", "required": True, "finite": True},
    {"name": "plain", "type": "double"},
    {"name": "seen", "type": "timestamp", "exclusiveMaximum": "2026-04-01T00:00:00Z"},
]
GAUGE = {"id": 1, "least": 0.0, "most": 0.5, "share": 0.5, "free": -1e300, "plain": math.inf, "seen": datetime(2026, 3, 31, 23, tzinfo=UTC)}
# Readers that we name read these; deletionVectors, columnMapping, typeWidening, v2Checkpoint, variantType and their like must never come in.
READABLE = {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"}
NAN = float("nan")
DAY_1, DAY_2, DAY_3 = (date(2026, 3, n) for n in (1, 2, 3))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_contract(folder, contract("silver.readings", READINGS))
    write_contract(folder, contract("silver.people", PEOPLE))
    write_contract(folder, contract("silver.gauges", GAUGES))
    return folder


@pytest.fixture(autouse=True)
def _at_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_PROJECT", str(project))


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    """A root in a folder, for what is the same on any store."""
    return Store(str(tmp_path / "root"))


def readings(spark: SparkSession, *rows: tuple[str, date, float | None]) -> DataFrame:
    return spark.createDataFrame(list(rows), "id string, day date, value double").coalesce(1)


def land(table: Table, spark: SparkSession, run: int, *rows: tuple[str, date, float | None], replace: Replaced | None = None) -> int:
    """One run: stage and publish."""
    table.create(spark)
    return table.publish(spark, [staged(table, spark, *rows)], run, replace=replace)


def staged(table: Table, spark: SparkSession, *rows: tuple[str, date, float | None]) -> Staged:
    return table.stage(table.begin(spark), readings(spark, *rows))


def ids(table: Table) -> list[str]:
    return sorted(table.delta().to_pyarrow_table(columns=["id"])["id"].to_pylist())


# -- as the contract says ----------------------------------------------------------------------------------------------


def test_an_empty_table_has_the_contracts_columns_and_settings_and_only_what_every_reader_reads(folder: Store, spark: SparkSession) -> None:
    table = Table("silver.people", folder)
    table.create(spark)
    table.create(spark)  # the second time nothing happens
    delta = table.delta()
    fields = {f.name: f for f in delta.schema().fields}
    assert (table.version(), table.last_run(), list(fields)) == (0, 0, [c["name"] for c in PEOPLE])
    assert {n for n, f in fields.items() if not f.nullable} == {"id", "seen"}
    assert pa.schema(delta.schema().to_arrow()).field("seen").type == pa.timestamp("us", tz="UTC")
    assert fields["name"].metadata == {"comment": "name of a test row"}
    assert table.changes() is None
    configuration = delta.metadata().configuration
    assert configuration["delta.enableChangeDataFeed"] == "true" and configuration["delta.enableDeletionVectors"] == "false"
    assert configuration["delta.constraints.weight_in_range"] == "weight IS NULL OR weight BETWEEN 0 AND 500"
    protocol = delta.protocol()
    assert (protocol.min_reader_version, protocol.reader_features) == (1, None)
    assert set(protocol.writer_features or ()) <= READABLE and protocol.min_writer_version <= 7


def test_statistics_of_classified_columns_never_reach_the_log(folder: Store, spark: SparkSession) -> None:
    table = Table("silver.people", folder)
    table.create(spark)
    person = (7, "Ada Lovelace", date(1815, 12, 10), datetime(2026, 3, 1, tzinfo=UTC), 60.0, ["x"], [("EMAIL", "t")], 3, b"raw", True)
    rows = spark.createDataFrame([person], ", ".join(f"{c['name']} {c['type']}" for c in PEOPLE))
    table.publish(spark, [table.stage(table.begin(spark), table.shaped(rows))], 1)
    log = b"".join(folder.get(k) or b"" for k in folder.keys("silver/people/_delta_log/") if k.endswith(".json")).decode()
    stats = [json.loads(json.loads(line)["add"]["stats"]) for line in log.splitlines() if line.startswith('{"add"')]
    assert [(s["numRecords"], sorted(s["minValues"]), sorted(s["nullCount"])) for s in stats] == [
        (1, ["id", "pieces", "seen", "weight"], ["id", "pieces", "seen", "weight"])
    ]
    assert "Ada" not in log and "1815" not in log
    back = table.delta().to_pyarrow_table().to_pylist()[0]
    assert (back["name"], back["born"], back["marks"], back["raw"]) == ("Ada Lovelace", date(1815, 12, 10), [{"kind": "EMAIL", "token": "t"}], b"raw")


@pytest.mark.parametrize("row", [("a", DAY_1, NAN), ("a", DAY_1, math.inf), ("a", DAY_1, 60.5), (None, DAY_1, 1.0), ("a", None, 1.0)])
def test_what_the_gate_should_have_kept_out_can_not_be_staged(row: Any, readings_table: Table, spark: SparkSession) -> None:
    before = ids(readings_table)
    with pytest.raises(Exception, match=r"CHECK constraint|NOT NULL|DELTA_VIOLATE"):
        staged(readings_table, spark, row)
    assert ids(readings_table) == before


@pytest.fixture(scope="module")
def readings_table(project: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """One table with two days, for tests that leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE_PROJECT", str(project))
        table = Table("silver.readings", Store(str(tmp_path_factory.mktemp("readings"))))
        land(table, spark, 1, ("a", DAY_1, None), ("b", DAY_2, 60.0))
        assert table.contract.partition == "day"
    return table


@pytest.fixture(scope="module")
def gauges(project: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of ranges that are open to one side, or leave an end out; one row that keeps all of them, its nulls included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE_PROJECT", str(project))
        table = Table("silver.gauges", Store(str(tmp_path_factory.mktemp("gauges"))))
        table.create(spark)
        table.publish(spark, [_gauged(table, spark, {}), _gauged(table, spark, dict.fromkeys(("least", "most", "share", "seen")))], 1)
    return table


def _gauged(table: Table, spark: SparkSession, change: dict[str, Any]) -> Staged:
    row = spark.createDataFrame([tuple((GAUGE | change).values())], ", ".join(f"{c['name']} {c['type']}" for c in GAUGES))
    return table.stage(table.begin(spark), table.shaped(row))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("least", v) for v in (NAN, math.inf, -math.inf, -0.1)), *(("most", v) for v in (NAN, math.inf, -math.inf, 0.75)),
        *(("share", v) for v in (NAN, math.inf, 0.0, 1.0)), *(("free", v) for v in (NAN, math.inf, -math.inf, None)),
        ("id", 0), ("seen", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_check_keeps_out_what_is_no_finite_number_of_an_open_range(column: str, value: Any, gauges: Table, spark: SparkSession) -> None:
    with pytest.raises(Exception, match=r"CHECK constraint|NOT NULL|DELTA_VIOLATE"):
        _gauged(gauges, spark, {column: value})


def test_rows_are_shaped_by_the_contract_and_nothing_is_cast_in_silence(readings_table: Table, spark: SparkSession) -> None:
    shaped = readings_table.shaped(spark.createDataFrame([(1.0, "a", DAY_1)], "value double, id string, day date"))
    assert [tuple(r) for r in shaped.collect()] == [("a", DAY_1, 1.0)]
    for schema, told in [
        ("id string, day date", "column missing: value double"),
        ("id string, day date, value double, more int", "column not in the contract: more int"),
        ("id string, day string, value double", "type of day: string, contract date"),
        ("id string, day date, value float", "type of value: float, contract double"),
    ]:
        with pytest.raises(ContractBroken, match=told) as caught:
            readings_table.shaped(spark.createDataFrame([], schema))
        assert "jobs/silver/readings.py" in caught.value.next_step


def test_a_changed_contract_is_told_and_reshapes_the_table_in_the_commit_that_replaces_its_rows(
    folder: Store, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(Table("silver.readings", folder), spark, 1, ("a", DAY_1, 1.0))
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path / "later"))
    later = [*READINGS[:1], {"name": "value", "type": "double", "required": True, "minimum": 0, "maximum": 900}, {"name": "unit", "type": "string"}]
    write_contract(tmp_path / "later", contract("silver.readings", later))
    table = Table("silver.readings", folder)
    assert [(c.kind, c.what) for c in table.changes() or ()] == [
        ("breaking", "column removed: day"),
        ("narrower", "may not be null any more: value"),
        ("narrower", "range changed: value [-50, 60] -> [0, 900]"),
        ("wider", "column added: unit string"),
        ("breaking", "partition changed: day -> none"),
    ]
    before = 1
    assert table.version() == before
    transaction = table.begin(spark, reshape=True)
    part = table.stage(transaction, spark.createDataFrame([("b", 700.0, "K")], "id string, value double, unit string"))
    assert table.version() == before
    table.publish(spark, [part], 2, replace=ALL)
    assert table.changes() is None and table.delta().metadata().partition_columns == []
    assert table.delta().to_pyarrow_table().to_pylist() == [{"id": "b", "value": 700.0, "unit": "K"}]
    assert table.read(spark, before).count() == 1  # the older version reads as it was
    changes = table.changed(spark, 1, 2)  # as the columns are now
    assert (counted(changes.new), changes.gone and counted(changes.gone)) == ({("b", 700.0, "K"): 1}, {("a", 1.0, None): 1})


# -- publish once ------------------------------------------------------------------------------------------------------


def test_staged_rows_are_seen_by_the_gate_and_by_nobody_else_until_their_commit(store: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", store)
    table.create(spark)
    rows = readings(spark, ("a", DAY_1, 1.0), ("b", DAY_2, 3.0), ("c", DAY_2, None))
    part = table.stage(table.begin(spark), rows, [F.count(F.lit(1)).alias("rows"), F.sum("value").alias("sum")])
    assert (part.rows, part.figures, len(part.files)) == (3, {"rows": 3, "sum": 4.0}, 2)
    assert sorted(map(tuple, table.staged_rows(spark, part).collect())) == [("a", DAY_1, 1.0), ("b", DAY_2, 3.0), ("c", DAY_2, None)]
    assert (table.version(), ids(table), table.read(spark).count()) == (0, [], 0)
    assert table.publish(spark, [part], 1) == 1
    assert (table.version(), table.last_run(), ids(table)) == (1, 1, ["a", "b", "c"])


def test_a_run_number_lands_once_whoever_repeats_it_also_without_a_row(store: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", store)
    assert land(table, spark, 1, ("a", DAY_1, 1.0)) == 1
    assert land(table, spark, 1, ("b", DAY_1, 1.0)) == 1
    assert land(table, spark, 2) == 2
    assert land(table, spark, 2, ("b", DAY_1, 1.0)) == 2
    assert (table.version(), table.last_run(), ids(table)) == (2, 2, ["a"])


def test_of_two_that_race_with_one_number_one_lands_and_the_other_is_told(store: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", store)
    table.create(spark)
    first, second = staged(table, spark, ("a", DAY_1, 1.0)), staged(table, spark, ("a", DAY_1, 1.0))
    assert table.publish(spark, [first], 1) == 1
    with pytest.raises(Busy, match="ConcurrentTransaction") as caught:
        table.publish(spark, [second], 1)
    assert caught.value.exit_code == 75
    assert (table.version(), ids(table)) == (1, ["a"])


def test_who_replaces_rows_that_another_added_meanwhile_is_told(folder: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", folder)
    land(table, spark, 1, ("a", DAY_1, 1.0))
    mine = staged(table, spark, ("b", DAY_1, 2.0))
    other = Table("silver.readings", folder).delta()
    other.delete("id = 'a'")  # by hand, or by an erasure: no run of ours
    with pytest.raises(Busy):
        table.publish(spark, [mine], 2, replace=ALL)
    assert (ids(table), table.last_run()) == ([], 1)


def test_a_run_appends_or_replaces_slices_or_files_in_its_one_commit(folder: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", folder)
    land(table, spark, 1, ("a", DAY_1, 1.0), ("b", DAY_2, 2.0))
    land(table, spark, 2, ("c", DAY_2, 3.0))
    assert ids(table) == ["a", "b", "c"]
    land(table, spark, 3, ("d", DAY_2, 4.0), ("e", DAY_3, 4.0), replace=Replaced(slices=frozenset({"2026-03-02", "2026-03-03"})))
    assert ids(table) == ["a", "d", "e"]
    file = next(f.path.rsplit("/", 1)[1] for f in table.snapshot().files if "2026-03-01" in f.path)
    land(table, spark, 4, ("a2", DAY_1, 1.0), replace=Replaced(names=frozenset({file})))
    assert (ids(table), table.version()) == (["a2", "d", "e"], 4)
    land(table, spark, 5, replace=ALL)
    assert (ids(table), table.version()) == ([], 5)


def test_files_that_lost_rows_to_deletion_vectors_are_replaced_like_others(folder: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", folder)
    land(table, spark, 1, ("a", DAY_1, 1.0), ("b", DAY_1, 2.0), ("c", DAY_2, 3.0))
    spark.sql(f"ALTER TABLE delta.`{table.uri}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")  # by hand: we never do
    spark.sql(f"DELETE FROM delta.`{table.uri}` WHERE id = 'a'")
    assert '"deletionVector":{' in (Path(table.uri) / f"_delta_log/{3:020}.json").read_text()
    table.publish(spark, [staged(table, spark, ("d", DAY_1, 4.0))], 2, replace=Replaced(slices=frozenset({str(DAY_1)})))
    assert sorted(r.id for r in table.read(spark).collect()) == ["c", "d"]


def test_no_commit_has_spark_compute_the_state_of_the_table(folder: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", folder)
    context: Any = spark.sparkContext
    land(table, spark, 1, ("a", DAY_1, 1.0))
    context.setJobGroup("replacing", "")
    try:
        land(table, spark, 2, ("b", DAY_2, 2.0), replace=Replaced(slices=frozenset({str(DAY_1)})))
        land(table, spark, 3, ("c", DAY_2, 2.0), replace=ALL)
        jobs = context.statusTracker().getJobIdsForGroup("replacing")
    finally:
        context._jsc.clearJobGroup()
    assert ids(table) == ["c"]
    assert len(jobs) == 2  # each wrote its files; the state takes three jobs a commit, and three more before it
    log = Path(table.uri) / "_delta_log"
    assert all((log / f"{version:020}.crc").exists() for version in range(4))  # they spare readers it
    nothing = context._jvm.scala.Option.empty()
    snapshot = context._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, table.uri).update(False, nothing, nothing)
    assert snapshot.checksumOpt().get().numFiles() == 1 and snapshot.validateChecksum(context._jvm.PythonUtils.toScalaMap({}))


# -- what changed ------------------------------------------------------------------------------------------------------

HISTORY: list[tuple[list[tuple[str, date, float | None]], Replaced | None]] = [
    ([("a", DAY_1, 1.0), ("b", DAY_1, 2.0), ("c", DAY_2, None)], None),
    ([("d", DAY_2, 4.0)], None),
    ([("a", DAY_1, 1.0), ("b", DAY_1, 2.5)], Replaced(slices=frozenset({"2026-03-01"}))),  # a is carried over, b has changed
    ([("a", DAY_1, 1.0), ("b", DAY_1, 2.0)], Replaced(slices=frozenset({"2026-03-01"}))),  # b is as it was once
    ([], Replaced(slices=frozenset({"2026-03-02"}))),
    ([("c", DAY_2, None), ("c", DAY_2, None), ("e", DAY_3, 0.0)], None),  # what looks alike stays two
    ([("f", DAY_3, 0.0)], None),
]


@pytest.fixture(scope="module")
def history(project: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table with the versions of HISTORY, and after them one that an OPTIMIZE made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE_PROJECT", str(project))
        table = Table("silver.readings", Store(str(tmp_path_factory.mktemp("history"))))
        for run, (rows, replace) in enumerate(HISTORY, 1):
            assert land(table, spark, run, *rows, replace=replace) == run
        table.delta().optimize.compact()
    return table


def test_a_row_that_was_only_carried_over_has_not_changed(history: Table, spark: SparkSession) -> None:
    changes = history.changed(spark, 2, 3)
    assert [tuple(r) for r in changes.new.collect()] == [("b", DAY_1, 2.5)]
    assert changes.gone is not None and [tuple(r) for r in changes.gone.collect()] == [("b", DAY_1, 2.0)]
    assert not changes.empty


def test_new_rows_alone_leave_nothing_gone(history: Table, spark: SparkSession) -> None:
    changes = history.changed(spark, 1, 2)
    assert ([tuple(r) for r in changes.new.collect()], changes.gone) == ([("d", DAY_2, 4.0)], None)


def test_an_optimize_and_a_change_that_was_taken_back_are_no_change(history: Table, spark: SparkSession) -> None:
    assert history.version() == len(HISTORY) + 1
    assert history.changed(spark, len(HISTORY), len(HISTORY) + 1).empty
    assert history.changed(spark, 2, 4).empty


@settings(max_examples=3, derandomize=True, deadline=None)
@given(ends=st.sets(st.integers(0, len(HISTORY) + 1), min_size=2, max_size=2))
def test_rows_then_without_what_is_gone_and_with_what_is_new_are_the_rows_now(ends: set[int], history: Table, spark: SparkSession) -> None:
    since, to = sorted(ends)
    changes: Changes = history.changed(spark, since, to)
    new, gone = counted(changes.new), counted(changes.gone) if changes.gone is not None else Counter[Any]()
    assert not new & gone
    then, now = (Counter((r["id"], r["day"], r["value"]) for r in history.delta(v).to_pyarrow_table().to_pylist()) for v in (since, to))
    assert gone <= then and then - gone + new == now


def counted(rows: DataFrame) -> Counter[Any]:
    return Counter(tuple(r) for r in rows.collect())


# -- pins --------------------------------------------------------------------------------------------------------------


def test_a_snapshot_names_exactly_the_files_of_its_version_with_their_rows(store: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", store)
    land(table, spark, 1, ("a", DAY_1, 1.0), ("b", DAY_2, 2.0))
    pinned = table.snapshot()
    land(table, spark, 2, ("c", DAY_2, 3.0), replace=ALL)
    assert pinned == table.snapshot(1) == Manifest.from_json(pinned.to_json())
    assert (pinned.version, pinned.rows, [f.rows for f in pinned.files]) == (1, 2, [1, 1])
    read = [pq.read_table(store.arrow_path(f.path), filesystem=store.arrow(), columns=["id"])["id"].to_pylist() for f in pinned.files]
    assert sorted(read) == [["a"], ["b"]]
    assert [f.size for f in pinned.files] == [store.arrow().get_file_info(store.arrow_path(f.path)).size for f in pinned.files]
    assert pinned.schema.names == ["id", "day", "value"]
    now = table.snapshot()
    assert (now.version, now.rows) == (2, 1) and not {f.path for f in now.files} & {f.path for f in pinned.files}
    assert isinstance(now.files[0], FilePin)


@pytest.mark.parametrize(
    "setting, told", [("'delta.enableDeletionVectors' = 'true'", "deletionVectors"), ("'delta.columnMapping.mode' = 'name'", "column mapping")]
)
def test_a_version_that_plain_readers_get_wrong_is_never_pinned(setting: str, told: str, folder: Store, spark: SparkSession) -> None:
    table = Table("silver.readings", folder)
    table.create(spark)
    spark.sql(f"ALTER TABLE delta.`{table.uri}` SET TBLPROPERTIES ({setting})")
    with pytest.raises(ContractBroken, match=told):
        table.snapshot()
    assert table.snapshot(0).files == ()


def test_a_table_or_version_that_is_not_there_is_said_so(folder: Store, readings_table: Table) -> None:
    nowhere = Table("silver.readings", folder)
    assert (nowhere.exists(), nowhere.version(), nowhere.last_run()) == (False, None, 0)
    with pytest.raises(SourceMissing, match="not there yet"):
        nowhere.snapshot()
    with pytest.raises(SourceMissing, match="no version 99"):
        readings_table.snapshot(99)
