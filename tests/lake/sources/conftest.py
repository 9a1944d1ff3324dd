"""What must hold for every reader, and the raw files of the real pack where LAKE_SAMPLES points to it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lake.contract import Contract, Source
from lake.sources.files import FileEdition, discover
from lake.sources.records import BOM, Record
from lake.store import Store


@pytest.fixture(scope="session")
def must_reconcile() -> Callable[..., list[Record]]:
    """Reads `data` and holds that each byte and each line of it lies in exactly one record, or ends one."""
    return _reconcile


@pytest.fixture
def real_files() -> Callable[[str, int], tuple[Source, list[FileEdition]]]:
    """Source and files of a raw contract in the pack at LAKE_SAMPLES, if these are the `size` bytes of the counts."""

    def files(name: str, size: int) -> tuple[Source, list[FileEdition]]:
        samples = os.environ.get("LAKE_SAMPLES")
        if not samples:
            pytest.skip("LAKE_SAMPLES is not set: counts of the real files are not checked")
        source = Contract.load(f"raw.{name}").source
        assert source is not None
        folder = Path(samples).absolute()
        source = replace(source, location=str(folder / source.location.removeprefix("raw/")))
        found = discover(Store(str(folder)), source, {})
        if not found:
            message = f"LAKE_SAMPLES={samples} holds no file of {name}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        if sum(f.size for f in found) != size:
            pytest.skip(f"LAKE_SAMPLES={samples} is another pack: {name} has other bytes there than the counts belong to")
        return source, found

    return files


def _reconcile(reader: ModuleType, data: bytes, options: Mapping[str, Any], fields: Sequence[str]) -> list[Record]:
    """Read `data` and account for each byte and line of it."""
    records: list[Record] = list(reader.records(io.BytesIO(data), options, fields))
    at, line = len(BOM) if data.startswith(BOM) else 0, 1
    for ordinal, record in enumerate(records):
        assert (record.ordinal, record.offset, record.line) == (ordinal, at, line)
        assert record.raw == data[record.offset : record.offset + record.length]
        assert record.lines == record.raw.count(b"\n") + 1
        assert len(record.fields) == len(fields)
        assert record.problem is None or set(record.fields) == {None}
        rest = data[record.offset + record.length :]
        end = 2 if rest.startswith(b"\r\n") else 1 if rest.startswith(b"\n") else 0
        assert end or not rest
        at, line = record.offset + record.length + end, line + record.lines
    assert at == len(data)
    return records
