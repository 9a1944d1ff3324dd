"""The mends hold: every row of every read, in order, with the types that petastorm used to drop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from pyarrow import fs

from lake.models.petastorm_mends import RowGroup, make_batch_reader, reading
from lake.store import Store

READS = 200  # stock petastorm: 52 of 300 reads of 7 row groups came back empty


def written(path: Path, rows: int, group: int) -> Path:
    columns = {
        "n": pa.array(range(rows), pa.int64()),
        "labels": pa.array(range(rows)),
        "label": pa.array([f"l{i % 3}" for i in range(rows)], pa.large_string()),
    }
    ids = pa.array([[i, i + 1, i + 2] for i in range(rows)], pa.large_list(pa.int32()))
    parquet.write_table(pa.table({**columns, "input_ids": ids}), path, row_group_size=group)
    return path


@pytest.mark.parametrize("groups", [7, 32])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_of_every_read(tmp_path: Path, groups: int, workers: int) -> None:
    path = written(tmp_path / "a.parquet", groups * 20, 20)
    reads = READS if groups == 7 else READS // 2  # in all, 600 reads in some 10 s
    short = 0
    for _ in range(reads):
        with make_batch_reader([f"file://{path}"], schema_fields=["n"], workers_count=workers) as reader:
            got = np.concatenate([np.zeros(0, np.int64), *[batch.n for batch in reader]])
        short += sorted(got.tolist()) != list(range(groups * 20))
    assert short == 0


def test_reads_the_groups_asked_for_in_their_order(tmp_path: Path) -> None:
    path = str(written(tmp_path / "a.parquet", 100, 10))
    for _ in range(20):
        with reading([RowGroup(path, i, 10) for i in (7, 2, 9)], ["n", "label", "input_ids"], fs.LocalFileSystem()) as read:
            batches = list(read)
        assert [int(b["n"][0]) for b in batches] == [70, 20, 90]
        assert batches[0]["input_ids"].shape == (10, 3) and batches[0]["label"][1] == "l2"
        assert set(batches[0]) == {"n", "label", "input_ids"}  # and not `labels`, which begins like `label`


def test_says_nothing_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.parquet", 10, 10)
    with make_batch_reader([f"file://{path}"], schema_fields=["n"], workers_count=1) as reader:
        list(reader)
    assert capsys.readouterr().out == ""


def test_an_error_names_file_and_row_group(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", 40, 10)
    footers = {str(path): parquet.ParquetFile(path).metadata}
    data = bytearray(path.read_bytes())
    start = footers[str(path)].row_group(2).column(0).dictionary_page_offset or footers[str(path)].row_group(2).column(0).data_page_offset
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    with (
        pytest.raises(OSError, match=r"a\.parquet row group 2"),
        reading([RowGroup(str(path), i, 10) for i in range(4)], ["n"], fs.LocalFileSystem(), footers) as read,
    ):
        list(read)


def test_pyarrow_itself_is_left_alone(tmp_path: Path) -> None:
    assert parquet.ParquetDataset.__module__.startswith("pyarrow")
    assert parquet.ParquetFile(written(tmp_path / "a.parquet", 10, 10)).read().num_rows == 10


def test_reads_what_lies_in_the_store_without_s3fs(store: Store, tmp_path: Path) -> None:
    store.put("raw/a.parquet", written(tmp_path / "a.parquet", 50, 10).read_bytes())
    path = store.arrow_path(store.key_uri("raw/a.parquet"))
    with reading([RowGroup(path, i, 10) for i in range(5)], ["n"], store.arrow()) as read:
        assert np.concatenate([b["n"] for b in read]).tolist() == list(range(50))
    url = f"s3://{path}" if store.on_s3 else f"file://{path.replace(' ', '%20')}"
    if " " not in path:  # petastorm does not unquote
        with make_batch_reader([url], schema_fields=["n"], workers_count=1, filesystem=store.arrow()) as reader:
            assert sum(len(b.n) for b in reader) == 50
