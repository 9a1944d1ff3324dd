"""Raw files as a DataFrame: typed fields, reasons, origin; damaged, foreign and changed files."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.contract import Column, Source
from lake.errors import ContractBroken, FileChanged, StoreUnreachable
from lake.session import spark_session
from lake.settings import Settings
from lake.sources import conll, delimited, discover, json_lines, lines, read
from lake.sources.delimited import rows
from lake.sources.files import FileEdition, Mark
from lake.sources.read import Given, _batches, _groups, _instant, _schema  # pyright: ignore[reportPrivateUsage]
from lake.store import Store


def field(name: str, type: str) -> Column:
    return Column(name, type, required=False, description="")


SOURCE = Source(
    "raw.rooms",
    "rooms",
    "raw/rooms/**",
    "delimited",
    {
        "delimiter": ";",
        "decimal": ",",
        "missing": ["-200"],
        "formats": {"time": "yyyy-MM-dd HH:mm:ss"},
        "zone": "Asia/Shanghai",
    },
    (field("time", "timestamp"), field("value", "double"), field("count", "int"), field("note", "string")),
)
HEADER = b"time;value;count;note\n"


def test_records_are_typed_or_say_why_not(spark: Any, lake_env: Settings, store: Store) -> None:
    good = (
        HEADER + b"2024-03-01 07:00:00;-1,5e1;7;ok\n2024-03-01 08:00:00;-200;;\n;;;\n2024-02-30 08:00:00;1.5;7,0;odd\n"
        b"2024-03-01 09:00:00;NaN;1;x\n2024-03-01 09:00:00;1e999;1;\xff\n+20260-03-01 07:00:00;1;1;y\n0000-03-01 07:00:00;1;1;z\n"
    )
    packed = gzip.compress(HEADER + b"2024-03-01 07:00:00;1;2;packed\n")
    landed = {"a.csv": good, "b.csv": b"value;time\n1;2\n", "c.csv.gz": packed, "d.csv.gz": packed[:-9], "empty": b""}
    for name, data in landed.items():
        store.put(f"raw/rooms/north/{name}", data)
    files = discover(store, SOURCE, {})
    assert [f.path for f in files] == [f"north/{name}" for name in sorted(landed)]

    session = spark_session(lake_env, store, "tests")  # tells the workers of this store
    found = read(session, files, SOURCE, store).orderBy("file", "ordinal").collect()

    assert [(r.file[6:], r.ordinal, r._problem and r._problem.split(" ")[0]) for r in found] == [
        ("a.csv", 0, None),
        ("a.csv", 1, None),
        ("a.csv", 2, "empty_row"),
        ("a.csv", 3, "not_a_timestamp:time;not_a_number:value;not_a_number:count"),
        ("a.csv", 4, "not_a_number:value"),
        ("a.csv", 5, "encoding"),
        ("a.csv", 6, "not_a_timestamp:time"),  # of a year that no reader of the table could hold
        ("a.csv", 7, "not_a_timestamp:time"),
        ("b.csv", 0, "header"),
        ("c.csv.gz", 0, None),
        ("d.csv.gz", 0, "unreadable:Compressed"),
    ]
    first, second, odd = found[0], found[1], found[3]
    assert (first.value, first["count"], first.note, first._raw) == (-15.0, 7, "ok", None)
    assert first.time.timestamp() == datetime(2024, 2, 29, 23, tzinfo=UTC).timestamp()
    assert (second.value, second["count"], second.note) == (None, None, "")
    assert bytes(odd._raw) == good[odd.offset : odd.offset + odd.length] == b"2024-02-30 08:00:00;1.5;7,0;odd"
    assert first.row_id == hashlib.sha256(b"rooms\x1fnorth/a.csv\x1f0").hexdigest()[:32]
    assert first.sha256 == hashlib.sha256(good).hexdigest()


CLOCKS = [  # zone, time on its clocks; when that was: none, or both in order
    ("America/New_York", "2024-03-10 02:30:00", []),
    ("America/New_York", "2024-11-03 01:30:00", ["2024-11-03 05:30:00", "2024-11-03 06:30:00"]),
    ("America/New_York", "2024-11-02 12:00:00", ["2024-11-02 16:00:00"]),  # within a day before a change
    ("America/New_York", "2024-03-09 12:00:00", ["2024-03-09 17:00:00"]),
    ("Australia/Lord_Howe", "2024-04-07 01:45:00", ["2024-04-06 14:45:00", "2024-04-06 15:15:00"]),  # half an hour
    ("Australia/Lord_Howe", "2024-10-06 02:15:00", []),
    ("Australia/Lord_Howe", "2024-10-06 02:30:00", ["2024-10-05 15:30:00"]),
    ("Pacific/Apia", "2011-12-30 12:00:00", []),  # a day that was not
    ("Pacific/Apia", "2011-12-29 12:00:00", ["2011-12-29 22:00:00"]),
    ("Asia/Shanghai", "2024-03-10 02:30:00", ["2024-03-09 18:30:00"]),
    ("-03:30", "2024-03-10 02:30:00", ["2024-03-10 06:00:00"]),
]


def test_times_that_a_clock_never_showed_or_showed_twice(spark: Any) -> None:
    from pyspark.sql import functions as F

    cells: list[Any] = []
    for n, (zone, shown, _) in enumerate(CLOCKS):
        for fold in (None, "earlier", "later"):
            value, wrong = _instant(F.lit(shown).cast("timestamp"), zone, fold)
            cells.append(F.coalesce(value.cast("string"), wrong).alias(f"{n}{fold}"))
    found = list(spark.range(1).select(*cells).first())
    expected: list[str] = []
    for _, _, instants in CLOCKS:
        expected += (
            [instants[0], instants[0], instants[0]] if len(instants) == 1 else ["ambiguous_time", *instants] if instants else ["no_such_time"] * 3
        )
    assert found == expected


def edition(path: Path, data: bytes) -> FileEdition:
    return FileEdition("raw.rooms", path.name, 1, len(data), "", hashlib.sha256(data).hexdigest(), datetime.now(UTC), str(path))


def batches(edition: FileEdition, path: Path) -> Any:
    """The file at `path` read as this edition."""
    return list(_batches(edition, lambda: path.open("rb", buffering=0), rows, {"header": False}, ["a"], _schema(1)))


@pytest.mark.parametrize("now", [b"a\nb\nC\n", b"a\nb\n", b"A\nb\nc\nd\n"])
def test_file_that_changed_since_it_was_listed_ends_the_run(tmp_path: Path, now: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(now)
    with pytest.raises(FileChanged, match="changed while it was read"):
        batches(edition(path, b"a\nb\nc\n"), path)


class Broken(io.BytesIO):
    """A stream whose store goes away."""

    def read(self, size: int | None = -1) -> bytes:
        if block := super().read(min(size or 0, 40)):
            return block
        raise OSError("connection reset")


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.csv.bz2", "x.csv.zst"])
def test_a_store_that_fails_is_no_damage_to_the_file(tmp_path: Path, name: str) -> None:
    raw = bytes(range(97, 123)) * 20
    data = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": lambda d: pa.Codec("zstd").compress(d, asbytes=True)}.get(Path(name).suffix, bytes)(
        raw
    )
    with pytest.raises(StoreUnreachable, match="connection reset"):
        list(_batches(edition(tmp_path / name, data)._replace(size=len(data) + 1), lambda: Broken(data), rows, {"header": False}, ["a"], _schema(1)))


def parsed(data: bytes, source: tuple[Any, dict[str, Any]], head: FileEdition | None = None) -> tuple[list[tuple[Any, ...]], FileEdition]:
    """(records, the edition as the ledger would keep it) of a file with these bytes, given its last edition if it has grown."""
    module, options = source
    file = edition(Path("x"), data)
    if head is not None:
        file = file._replace(head=head.size, begins=head.open)
    given = Given()
    found = _batches(file, lambda: io.BytesIO(data), module.rows, options, ["a"], _schema(1), given)
    records = [tuple(r.values())[3:] for batch in found for r in batch.to_pylist()]  # without file, edition and hash
    assert given.records == len(records)
    return records, file._replace(open=given.open, begins=given.begins if head is not None else None)


GROWING: list[tuple[Any, dict[str, Any]]] = [
    (lines, {"pattern": "(?s)(?P<a>[ab].*)", "begins": "a|b"}),
    (lines, {"pattern": "(?P<a>[ab]*)", "longest": 3}),
    (delimited, {"header": ["a"]}),
    (delimited, {"header": False, "quote": None}),
    (json_lines, {}),
    (conll, {"separator": ","}),
]


@settings(max_examples=400, derandomize=True, deadline=None)
@given(
    source=st.sampled_from(GROWING),
    parts=st.lists(
        st.lists(st.sampled_from(["a", "b", '"', ",", "\n", "\r\n", "\ufeff", "a\n", 'a\n"', "\xe9", '{"a":1}\n']), max_size=8),
        min_size=2,
        max_size=4,
    ),
)
def test_a_file_read_as_it_grows_gives_what_it_gives_as_a_whole(source: tuple[Any, dict[str, Any]], parts: list[list[str]]) -> None:
    data, kept, last = b"a\n" if source[1].get("header") else b"", list[tuple[Any, ...]](), None
    for part in parts:
        data += "".join(part).encode()
        last_one = last if last is not None and last.open is not None and last.size < len(data) else None
        records, last = parsed(data, source, last_one)
        begins = last.begins.ordinal if last_one is not None and last.begins is not None else 0
        kept = [r for r in kept if r[0] < begins] + records
        assert kept == parsed(data, source)[0]


def test_of_a_file_that_grew_only_the_last_record_is_parsed_again(tmp_path: Path) -> None:
    source: tuple[Any, dict[str, Any]] = (delimited, {"header": ["a"]})
    first = b"a\n" + b"".join(b"%d\n" % n for n in range(1000))
    _, last = parsed(first, source)
    assert last.open == Mark(999, len(first) - 4)
    records, now = parsed(first + b"1000\n1001", source, last)
    assert [r[:3] for r in records] == [(1000, 1002, len(first)), (1001, 1003, len(first) + 5)]
    assert now.begins == Mark(1000, len(first))  # nothing that was read before has changed
    records, now = parsed(first + b"1000\n10011", source, now)
    assert [(r[0], r[4]) for r in records] == [(1001, "10011")]
    assert parsed(first + b"\xef\xbb\xbf", source)[1].open is None  # it would be taken for the file's own mark


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_file_that_has_grown_since_it_was_listed_is_read_as_it_was_listed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    first, more = (gzip.compress(b) if name.endswith(".gz") else b for b in (b"x\ny\n", b"z\n"))
    path.write_bytes(first + more)
    (batch,) = batches(edition(path, first), path)
    assert (batch.column("cell0").to_pylist(), batch.column("_problem").to_pylist()) == (["x", "y"], [None, None])


def test_batches_are_bounded(tmp_path: Path) -> None:
    path, data = tmp_path / "x.csv", b"a\n" * 20_000
    path.write_bytes(data)
    assert [b.num_rows for b in batches(edition(path, data), path)] == [8192, 8192, 3616]


def test_large_files_get_tasks_of_their_own() -> None:
    sizes = {"a": 5, "b": 900_000, "c": 7, "d": 5, "e": 400_000}
    files = [edition(Path(name), b"")._replace(size=size) for name, size in sizes.items()]
    assert [[f.path for f in group] for group in _groups(files, 3)] == [["b"], ["e"], ["a", "c", "d"]]
    assert len(_groups(files, 100)) == 5
    assert _groups([], 4) == []


def test_contracts_that_cannot_be_read_are_refused(spark: Any) -> None:
    with pytest.raises(ContractBroken, match="no reader for format 'xml'"):
        read(spark, [], replace(SOURCE, format="xml"), Store("/nowhere"))
    with pytest.raises(ContractBroken, match=r"field time \(timestamp\) has no format"):
        read(spark, [], replace(SOURCE, options={}), Store("/nowhere"))
    with pytest.raises(ContractBroken, match="option fold is 'both'"):
        read(spark, [], replace(SOURCE, options={**SOURCE.options, "fold": "both"}), Store("/nowhere"))
    for wrong in ({"most": 0}, {"ratio": "ten"}, {"least": 1}, 5):
        with pytest.raises(ContractBroken, match="option unpacked is"):
            read(spark, [], replace(SOURCE, options={**SOURCE.options, "unpacked": wrong}), Store("/nowhere"))
    with pytest.raises(ContractBroken, match="line is a name of ours"):
        read(spark, [], replace(SOURCE, fields=(field("line", "int"),)), Store("/nowhere"))
    assert read(spark, [], SOURCE, Store("/nowhere")).columns[8:] == [
        "time",
        "value",
        "count",
        "note",
        "_problem",
        "_raw",
    ]
