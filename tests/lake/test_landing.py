"""Landing: raw files come in whole, under their own path, once, and never over other bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.contract import Contract
from lake.errors import ContractBroken, LakeError, SourceMissing
from lake.landing import Landed, land, land_folder
from lake.store import Store
from tests.lake.project import FIELDS, contract, write, write_contract, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "project")
    source(folder, "notes", "raw/text/notes/**")
    source(folder, "bare", "raw/*.txt")
    source(folder, "elsewhere", str(tmp_path / "elsewhere" / "*.csv"))
    monkeypatch.setenv("LAKE_PROJECT", str(folder))
    return folder


def source(project: Path, name: str, path: str) -> None:
    write_contract(project, contract(f"raw.{name}", FIELDS, server={"path": path, "format": "delimited"}))


def test_a_file_lands_once_and_is_known_after_that(project: Path, store: Store, tmp_path: Path) -> None:
    file = write(tmp_path / "in" / "a.csv", "1,2\n")
    assert land(store, "readings", [file]) == Landed("readings", new=1, known=0, size=4)
    assert land(store, "readings", [file]) == Landed("readings", new=0, known=1, size=0)
    assert store.get("raw/readings/a.csv") == b"1,2\n"


def test_other_bytes_never_land_over_a_file(project: Path, store: Store, tmp_path: Path) -> None:
    file = write(tmp_path / "in" / "a.csv", "1,2\n")
    land(store, "readings", [file])
    write(file, "3,4\n")
    with pytest.raises(LakeError, match="never overwrites"):
        land(store, "readings", [file])
    assert store.get("raw/readings/a.csv") == b"1,2\n"


def test_paths_below_the_base_are_kept_and_those_outside_refused(project: Path, store: Store, tmp_path: Path) -> None:
    inside, outside = write(tmp_path / "in" / "deep" / "b.txt", "b"), write(tmp_path / "out" / "c.txt", "c")
    land(store, "notes", [inside], tmp_path / "in")
    assert list(store.keys("raw/")) == ["raw/text/notes/deep/b.txt"]
    with pytest.raises(ContractBroken, match=r"c\.txt does not lie below"):
        land(store, "notes", [outside], tmp_path / "in")


@pytest.mark.parametrize(
    ("name", "file", "told"),
    [
        ("readings", "a.txt", r"a\.txt does not match \*\.csv of raw\.readings"),
        ("elsewhere", "a.csv", "outside the lake: it is read there and never written"),
        ("none", "a.csv", r"raw\.none has no contract"),
        ("Readings", "a.csv", "is no address"),
    ],
)
def test_a_file_that_no_job_would_read_is_refused(project: Path, store: Store, tmp_path: Path, name: str, file: str, told: str) -> None:
    with pytest.raises(ContractBroken, match=told):
        land(store, name, [write(tmp_path / "in" / file, "x")])
    assert list(store.keys()) == []


def test_a_folder_is_no_file(project: Path, store: Store, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(SourceMissing, match="is not a file"):
        land(store, "notes", [tmp_path / "in"])


def test_a_whole_folder_lands_by_the_patterns_of_the_sources(project: Path, store: Store, tmp_path: Path) -> None:
    for name in ("readings/a.csv", "readings/a.bak", "text/notes/.hidden", "text/notes/x/ü 1.txt", "top.txt", "other/a.csv"):
        write(tmp_path / "pack" / name, name)
    landed = {one.source: (one.new, one.known) for one in land_folder(store, tmp_path / "pack")}
    assert landed == {"bare": (1, 0), "notes": (1, 0), "readings": (1, 0)}  # what lies elsewhere is not landed, nor what is hidden
    assert list(store.keys("raw/")) == ["raw/readings/a.csv", "raw/text/notes/x/ü 1.txt", "raw/top.txt"]
    again = land_folder(store, tmp_path / "pack", only=["notes"])
    assert again == [Landed("notes", new=0, known=1, size=0)]


def test_a_folder_that_is_not_there_is_told(project: Path, store: Store, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="is no folder") as caught:
        land_folder(store, tmp_path / "none")
    assert "LAKE_SAMPLES" in caught.value.next_step


def test_a_contract_of_a_source_names_its_place(project: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    without: Any = type("Without", (), {"source": None})
    monkeypatch.setattr(Contract, "load", classmethod(lambda cls, address: without))
    with pytest.raises(ContractBroken, match=r"schemas/raw/notes\.yaml names no place"):
        land(store, "notes", [])


NAMES = st.text("ab.é _-", min_size=1, max_size=8).filter(lambda n: n == n.strip() != "" and n[0] != ".")


@settings(max_examples=15, deadline=None)
@given(files=st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), max_size=5))
def test_what_has_landed_is_what_was_there_and_landing_again_changes_nothing(files: dict[str, bytes]) -> None:
    files = {n: b for n, b in files.items() if not any(o.startswith(f"{n}/") for o in files)}  # a name is a file or a folder
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        source(Path(place, "project"), "notes", "raw/text/notes/**")
        patch.setenv("LAKE_PROJECT", f"{place}/project")
        for name, body in files.items():
            Path(place, "in", name).parent.mkdir(parents=True, exist_ok=True)
            Path(place, "in", name).write_bytes(body)
        store, paths, base = Store(f"{place}/root"), [Path(place, "in", n) for n in files], Path(place, "in")
        assert land(store, "notes", paths, base) == Landed("notes", len(files), 0, sum(map(len, files.values())))
        assert land(store, "notes", paths, base) == Landed("notes", 0, len(files), 0)
        assert {k.removeprefix("raw/text/notes/"): store.get(k) for k in store.keys("")} == files
