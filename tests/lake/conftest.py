"""Throw-away projects for the tests of `lake`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.lake.project import Place, copied, write_project


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory, store_home: Path, spark: SparkSession) -> Path:
    """The folder of a place after its first night: two files, three days, every table made. Copy it; never write to it."""
    # Compiling the code of each small query is a third of a run's time here: sessions of runs interpret it (the flows' own processes compile).
    context: Any = spark.sparkContext
    context._jsc.sc().conf().set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    folder = tmp_path_factory.mktemp("first")
    place = Place.at(folder, store_home, spark)
    write_project(place.project)
    place.file("a.csv", ("north", "2026-03-01", 1.0), ("north", "2026-03-02", 3.0), ("south", "2026-03-02", 5.0))
    place.file("b.csv", ("north", "2026-03-05", 10.0), ("south", "2026-03-05", "NA"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE_PROJECT", str(place.project))
        place.night()
    return folder


@pytest.fixture
def place(first_night: Path, tmp_path: Path, store_home: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of the lake after its first night."""
    folder = copied(first_night, tmp_path / "place")
    monkeypatch.setenv("LAKE_PROJECT", str(folder / "project"))
    return Place.at(folder, store_home, spark)


@pytest.fixture
def new_place(tmp_path: Path, store_home: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A lake where nothing has run yet, without raw files."""
    folder = tmp_path / "place"
    write_project(folder / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(folder / "project"))
    return Place.at(folder, store_home, spark)
