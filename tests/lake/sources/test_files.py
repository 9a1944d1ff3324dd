"""File editions: new, changed, touched, renamed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lake.contract import Source
from lake.sources.files import discover, matcher
from lake.store import Store

SOURCE = Source("raw.logs", "logs", "raw/logs/**", "lines", {}, ())


def test_editions_follow_the_content(tmp_path: Path) -> None:
    store, folder = Store(str(tmp_path)), tmp_path / "raw" / "logs"
    folder.joinpath("b").mkdir(parents=True)
    for name, text in {"b/.hidden": "1", "a.log": "2", "_under score é": "", "ümlaut": "1"}.items():
        (folder / name).write_text(text)
    first = discover(store, SOURCE, {})
    assert [(f.path, f.edition, f.size) for f in first] == [
        ("_under score é", 1, 0),
        ("a.log", 1, 1),
        ("b/.hidden", 1, 1),
        ("ümlaut", 1, 1),
    ]
    assert first[2].sha256 == first[3].sha256  # the same bytes under two names are two files
    known = {f.path: f for f in first}
    assert discover(store, SOURCE, known) == []

    (folder / "a.log").write_text("3")  # other bytes, same size
    os.utime(folder / "ümlaut", (0, 0))  # touched only
    os.utime(folder / "a.log", (0, 0))  # nor does an old time hide the change
    (folder / "new").write_text("")
    assert [(f.path, f.edition) for f in discover(store, SOURCE, known)] == [("a.log", 2), ("new", 1)]
    assert all(Path(f.uri).is_file() for f in first)


def test_place_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1")
    (tmp_path / "readme.txt").write_text("1")
    (file,) = discover(Store("/nowhere"), replace(SOURCE, location=f"{tmp_path}/*.csv"), {})
    assert (file.source, file.path, file.uri) == ("raw.logs", "x.csv", f"{tmp_path}/x.csv")


def test_no_folder_no_files(tmp_path: Path) -> None:
    assert discover(Store(str(tmp_path)), SOURCE, {}) == []


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**", "a/b/c", True),
        ("*", "a/b", False),
        ("*.csv", "a.csv.gz", True),
        ("*.csv", "a.csv.bak", False),
        ("*/*.csv", "x.csv", False),
        ("**/*.csv", "x.csv", True),
        ("**/*.csv", "a/b/x.csv", True),
        ("a?[0-9].log", "ab1.log", True),
        ("[!a]*", "ab", False),
        ("[!a]*", "ba", True),
        ("a.b+c(d)", "a.b+c(d)", True),
        ("a.b", "axb", False),
        ("*", "new\nline", True),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert matcher(pattern)(path) is fits
