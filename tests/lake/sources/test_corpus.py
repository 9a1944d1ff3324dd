"""Bad raw files: each record of each is a row or a reject with its reason, place and bytes, and none stops another."""

from __future__ import annotations

import gzip
import hashlib
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lake.errors import RunFailed
from lake.session import spark_session
from lake.settings import Settings
from lake.sources import delimited, discover, read
from lake.sources.files import COMPRESSED, FileEdition
from lake.sources.read import _batches, _schema, counting  # pyright: ignore[reportPrivateUsage]
from lake.sources.records import Row
from lake.store import Store
from tests.corpus import make
from tests.corpus.make import CASES, SOURCES, Case, Reject

BY_FILE = {(case.source, case.path): case for case in CASES}
# These reasons are found by the cast, which is Spark's: the readers give such records on as rows.
CAST = ("not_a_", "out_of_range", "no_such_time", "ambiguous_time")


def test_every_case_has_its_own_file_and_every_source_some() -> None:
    assert len(BY_FILE) == len(CASES) >= 60
    assert {case.source for case in CASES} == set(SOURCES)


def test_the_script_writes_what_discovery_finds(tmp_path: Path) -> None:
    make.write(tmp_path)
    for source in SOURCES.values():
        found = {file.path for file in discover(Store(str(tmp_path)), source, {})}
        assert found == {case.path for case in CASES if case.source == source.name}


def check(case: Case, found: Sequence[Any], rejects: Sequence[Reject]) -> None:
    """Hold the found rejects, by line, against those that are expected, and every byte of the file against its records."""
    data = case.content()
    assert len(found) == len(rejects), [(r["line"], r["_problem"]) for r in found][:5]
    for one, expected in zip(found, rejects, strict=True):
        where = (case.path, one["line"])
        if expected.reason.startswith("unreadable:"):
            assert one["_problem"].startswith(expected.reason), (where, one["_problem"])
            assert (one["line"], one["offset"], one["length"], one["_raw"]) == (1, 0, len(data), b""), where
            continue
        raw = bytes(one["_raw"])
        assert (one["line"], one["_problem"]) == (expected.line, expected.reason), where
        assert raw == expected.raw, where
        assert one["length"] == (expected.length or len(raw)), where
        if not case.path.endswith(COMPRESSED):
            assert data[one["offset"] :].startswith(raw), where


def assert_every_byte_lies_in_a_record(data: bytes, found: Sequence[Any], format: str) -> None:
    """Between records lie line ends, and before the first one a byte order mark and a header, if anything; between sentences blank lines.

    Between the records of a document lies the document; its own test holds what is found in it against the json module.
    """
    if format == "json_document":
        return
    at = 0
    for record in found:
        between = data[at : record["offset"]]
        assert between in (b"\n", b"\r\n") or (at == 0 and between.count(b"\n") < 2) or (format == "conll" and not between.strip()), record
        at = record["offset"] + record["length"]
    assert not data[at:].strip() if format == "conll" else data[at:] in (b"", b"\n", b"\r\n") or not found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.source}/{case.path}")
def test_readers_split_a_bad_file_as_expected(case: Case, tmp_path: Path) -> None:
    source, path, data = SOURCES[case.source], tmp_path / "file", case.content()
    path.write_bytes(data)
    edition = FileEdition(source.address, case.path, 1, len(data), "", hashlib.sha256(data).hexdigest(), datetime.now(UTC), str(path))
    names = [field.name for field in source.fields]
    rows = importlib.import_module(f"lake.sources.{source.format}").rows
    batches = _batches(edition, lambda: path.open("rb", buffering=0), rows, source.options, names, _schema(len(names)))
    found = [record for batch in batches for record in batch.to_pylist()]
    wrong = [record for record in found if record["_problem"] is not None]
    check(case, wrong, [reject for reject in case.rejects if not reject.reason.startswith(CAST)])
    assert [record["ordinal"] for record in found] == list(range(len(found)))
    assert len(found) == len(case.rows) + len(case.rejects)
    if not any(reject.whole for reject in case.rejects) and not case.path.endswith(COMPRESSED):
        assert_every_byte_lies_in_a_record(data, found, source.format)


LINES = b"station,value\nnorth,1\nnorth,2\nsouth,3\n"


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (lambda found: found[:2] + found[3:], "a record begins at line 4, where line 3 is to come"),
        (lambda found: found[:3], "it has 4 lines, and its records hold 3"),
        (lambda found: [*found, found[-1]], "a record begins at line 4, where line 5 is to come"),
        (lambda found: found[1:], "a record begins at line 2, where line 1 is to come"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_reader_that_loses_or_doubles_a_line_is_found_out(tmp_path: Path, packed: bool, lost: Callable[[list[Row]], list[Row]], told: str) -> None:
    path = tmp_path / ("file.csv.gz" if packed else "file.csv")
    data = gzip.compress(LINES) if packed else LINES
    path.write_bytes(data)
    edition = FileEdition("raw.x", path.name, 1, len(data), "", hashlib.sha256(data).hexdigest(), datetime.now(UTC), str(path))

    def rows(*given: Any) -> Iterator[Row]:
        return iter(lost(list(delimited.rows(*given))))

    names = ["station", "value"]
    with pytest.raises(RunFailed, match=told):
        list(_batches(edition, lambda: path.open("rb", buffering=0), rows, {}, names, _schema(len(names))))


def test_spark_reads_all_bad_files_of_a_source_at_once(spark: Any, lake_env: Settings, store: Store) -> None:
    from pyspark.sql import functions as F

    # What is in a file is the same on both; what a name may hold is the store's business.
    cases = [case for case in CASES if case.path.startswith("names/") or not store.on_s3]
    for case in cases:
        store.put(f"raw/{case.source}/{case.path}", case.content())
    session = spark_session(lake_env, store, "tests")  # tells the workers of this store
    for source in SOURCES.values():
        files = discover(store, source, {})
        if not files:
            continue
        counts = counting(session)
        records = read(session, files, source, store, counts)
        values = [F.col(f.name).cast("string").alias(f.name) if f.type in ("timestamp", "date") else F.col(f.name) for f in source.fields]
        rows, rejects = defaultdict[str, list[Any]](list), defaultdict[str, list[Any]](list)
        for record in records.select("file", "ordinal", "line", "offset", "length", "_problem", "_raw", *values).orderBy("file", "ordinal").collect():
            if record["_problem"] is None:
                assert record["_raw"] is None
                rows[record["file"]].append(tuple(record)[7:])
            else:
                rejects[record["file"]].append(record)
        for case in (case for case in cases if case.source == source.name):
            assert rows[case.path] == list(case.rows), case.path
            check(case, rejects[case.path], case.rejects)
        given = {path: read.records for path, read in counts.value.items()}
        assert {file.path: len(rows[file.path]) + len(rejects[file.path]) for file in files} == given
