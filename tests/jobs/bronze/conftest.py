"""A bronze job on raw bytes that a test writes down."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lake.contract import Contract
from lake.settings import project_root
from lake.sources import discover, read
from lake.store import Store, split_location

Bronze = Callable[[str, Mapping[str, bytes]], list[Any]]


@pytest.fixture
def bronze(spark: Any, tmp_path: Path) -> Bronze:
    """Reads files (path below the source's folder -> bytes) by the raw contract, and builds; rows by file, ordinal."""

    def rows(name: str, files: Mapping[str, bytes]) -> list[Any]:
        source, contract = Contract.load(f"raw.{name}").source, Contract.load(f"bronze.{name}")
        assert source is not None
        for path, data in files.items():
            file = tmp_path / split_location(source.location)[0] / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        store = Store(str(tmp_path))
        found = discover(store, source, {})
        assert [f.path for f in found] == sorted(files)
        records = read(spark, found, source, store).where("_problem IS NULL")
        built = _job(name).build(records)
        assert [(f.name, f.dataType.simpleString()) for f in built.schema] == [(c.name, c.type) for c in contract.columns]
        required = [c.name for c in contract.columns if c.required]
        collected = built.orderBy("file", "ordinal").collect()
        assert [(r.file, r.ordinal, c) for r in collected for c in required if r[c] is None] == []
        return collected

    return rows


def _job(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"bronze_{name}", project_root() / "jobs" / "bronze" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
