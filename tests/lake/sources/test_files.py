"""File editions: new, changed, touched, renamed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.contract import Source
from lake.errors import StoreUnreachable
from lake.sources.files import FileEdition, Mark, cut, discover, matcher
from lake.store import Object, Store

SOURCE = Source("raw.logs", "logs", "raw/logs/**", "lines", {}, ())


def test_editions_follow_the_content(tmp_path: Path) -> None:
    store, folder = Store(str(tmp_path)), tmp_path / "raw" / "logs"
    folder.joinpath("b").mkdir(parents=True)
    for name, text in {"b/in.log": "1", "a.log": "2", "_under score é": "", "ümlaut": "1"}.items():
        (folder / name).write_text(text)
    first = discover(store, SOURCE, {})
    assert [(f.path, f.edition, f.size) for f in first] == [
        ("_under score é", 1, 0),
        ("a.log", 1, 1),
        ("b/in.log", 1, 1),
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


def test_a_file_that_grew_is_told_by_its_beginning_and_another_content_begins_anew(tmp_path: Path) -> None:
    store, folder = Store(str(tmp_path)), tmp_path / "raw" / "logs"
    folder.mkdir(parents=True)

    def look(known: dict[str, FileEdition], source: Source, again: set[str] | None = None) -> list[tuple[str, int, int, int | None, Mark | None]]:
        found = discover(store, source, known, again=again or ())
        return [(f.path, f.edition, f.base, f.head, f.begins) for f in found]

    for name, text in {"grows": "a\nb", "shrinks": "a\nb", "other": "a\nb", "unmarked": "a\nb", "empty": ""}.items():
        (folder / name).write_text(text)
    first = {f.path: f._replace(open=Mark(1, 2)) for f in discover(store, SOURCE, {})}
    known = first | {name: first[name]._replace(open=None) for name in ("unmarked", "empty")}
    for name, text in {"grows": "a\nb\nc", "shrinks": "a\n", "other": "a\nB\nc", "unmarked": "a\nb\nc", "empty": "a"}.items():
        (folder / name).write_text(text)
    assert look(known, SOURCE) == [
        ("empty", 2, 1, None, None),
        ("grows", 2, 1, 3, Mark(1, 2)),
        ("other", 2, 1, None, None),
        ("shrinks", 2, 1, None, None),
        ("unmarked", 2, 1, None, None),
    ]
    keep = replace(SOURCE, editions="keep")
    assert look(known, keep) == [
        ("empty", 2, 2, None, None),
        ("grows", 2, 1, 3, Mark(1, 2)),
        ("other", 2, 2, None, None),
        ("shrinks", 2, 2, None, None),
        ("unmarked", 2, 1, None, None),
    ]
    assert look(known, keep, {"grows", "other"})[1:3] == [("grows", 2, 1, None, None), ("other", 2, 2, None, None)]
    assert look(known, SOURCE, {"grows"})[1] == ("grows", 2, 1, None, None)
    older = known | {"grows": known["grows"]._replace(base=3, edition=5)}
    assert look(older, keep)[1] == ("grows", 6, 3, 3, Mark(1, 2))
    assert look(older, SOURCE)[1] == ("grows", 6, 1, None, None)  # they are to be kept no more: all of its rows are replaced


def test_a_copy_is_left_out_where_the_contract_says_so_and_read_when_its_bytes_are_held_nowhere_else(tmp_path: Path) -> None:
    store, folder = Store(str(tmp_path)), tmp_path / "raw" / "logs"
    folder.mkdir(parents=True)
    source = replace(SOURCE, copies="skip")

    def look(known: dict[str, FileEdition]) -> list[tuple[str, int, bool]]:
        found = discover(store, source, known)
        known |= {f.path: f for f in found}
        return [(f.path, f.edition, f.copy) for f in found]

    for name, text in {"b": "same", "a": "same", "c": "other", "empty": "", "empty too": ""}.items():
        (folder / name).write_text(text)
    known: dict[str, FileEdition] = {}
    assert look(known) == [("a", 1, False), ("b", 1, True), ("c", 1, False), ("empty", 1, False), ("empty too", 1, False)]
    assert look(known) == []
    assert [(f.path, f.edition) for f in discover(store, source, known, again={"a", "c"})] == [("a", 1), ("c", 1)]
    (folder / "0").write_text("same")  # before all in the order of names, but its bytes are held by now
    assert look(known) == [("0", 1, True)]
    assert [(f.path, f.copy) for f in discover(store, source, known, again={"a"})] == [("a", False)]  # and none of its copies
    (folder / "a").unlink()  # its rows stay
    assert look(known) == []
    (folder / "a").write_text("mended")  # its rows go, and with them the bytes that two copies have
    assert look(known) == [("0", 1, False), ("a", 2, False)]
    (folder / "b").unlink()
    (folder / "c").write_text("same")  # a file that was read is read again: its old rows must go
    assert look(known) == [("c", 2, False)]
    (folder / "b").write_text("same")
    source = SOURCE  # copies are read from now on
    assert look(known) == [("b", 1, False)]
    assert look(known) == []


def listed_then(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let `meanwhile` happen between the listing of a place and the first look into a file."""
    whole = Store.list

    def listing(store: Store, prefix: str = "") -> Iterator[Object]:
        yield from list(whole(store, prefix))
        meanwhile()

    monkeypatch.setattr(Store, "list", listing)


def test_a_log_that_grows_is_taken_as_it_was_listed_and_its_rest_is_the_next_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "server.log"
    log.write_text("one\n")
    source = replace(SOURCE, location=f"{tmp_path}/**")
    with monkeypatch.context() as patch:
        listed_then(patch, lambda: log.open("a").write("two\n"))
        (first,) = discover(Store("/nowhere"), source, {})
    assert (first.size, first.sha256) == (4, hashlib.sha256(b"one\n").hexdigest())
    (second,) = discover(Store("/nowhere"), source, {first.path: first})
    assert (second.edition, second.size, second.sha256) == (2, 8, hashlib.sha256(b"one\ntwo\n").hexdigest())


def rotated(log: Path) -> None:
    log.rename(log.with_name("server.log.1"))
    log.write_text("a new file, longer than the old one\n")


@pytest.mark.parametrize("change", [rotated, Path.unlink, lambda log: log.write_text("1"), lambda log: log.write_text("two\n")])
def test_a_file_that_was_replaced_or_cut_is_left_for_the_next_run_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    log, said = tmp_path / "server.log", list[str]()
    log.write_text("one\n")
    (tmp_path / "a.log").write_text("fine\n")
    os.utime(log, (0, 0))
    source = replace(SOURCE, location=f"{tmp_path}/*.log")
    with monkeypatch.context() as patch:
        listed_then(patch, lambda: (time.sleep(0.02), change(log)))  # the clock of a file system steps by 4 ms or so
        assert [f.path for f in discover(Store("/nowhere"), source, {}, said.append)] == ["a.log"]
    assert said == [f"{log} changed while it was looked at: left for the next run"]
    assert [f.path for f in discover(Store("/nowhere"), source, {})] == ["a.log", *(["server.log"] if log.exists() else [])]


def test_a_file_whose_name_is_not_utf_8_is_told_and_stops_no_other(tmp_path: Path) -> None:
    said = list[str]()
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.log")).write_text("1")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    (tmp_path / "a.log").write_text("1")
    source = replace(SOURCE, location=f"{tmp_path}/*.log")
    assert [f.path for f in discover(Store("/nowhere"), source, {}, said.append)] == ["a.log"]
    assert said == [f"{tmp_path}/caf\\udce9.log is left out: its name is not UTF-8; give it another one"]


def test_an_object_that_was_overwritten_is_left_for_the_next_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        store.put(f"raw/logs/{name}", b"one\n")
    with monkeypatch.context() as patch:
        listed_then(patch, lambda: store.put("raw/logs/b", b"one\ntwo\n"))
        assert [f.path for f in discover(store, SOURCE, {})] == ["a"]
    assert [(f.path, f.size) for f in discover(store, SOURCE, {})] == [("a", 4), ("b", 8)]


def test_a_file_that_we_may_not_read_is_an_error_with_a_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:  # the suite may run as root, who may read everything
        raise PermissionError("denied")

    (tmp_path / "a.log").write_text("1")
    monkeypatch.setattr(Store, "arrow", lambda _: SimpleNamespace(open_input_stream=denied))
    with pytest.raises(StoreUnreachable, match=r"a\.log can't be read") as caught:
        discover(Store("/nowhere"), replace(SOURCE, location=f"{tmp_path}/*"), {})
    assert caught.value.next_step


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
        # no wildcard takes the dot of a name or folder that is hidden, or still being written
        ("**", ".server.log.Xa12Bc", False),
        ("**", "a/.b", False),
        ("**", "a/.b/c", False),
        ("**", "a/b.c/.../d", False),
        ("**/*.log", ".git/x.log", False),
        ("*.csv", ".csv", False),
        ("*", ".a", False),
        ("?a", ".a", False),
        ("[!b]a", ".a", False),
        ("**a", ".a", False),
        ("a*", "a.b", True),
        ("**", "a.b/c.d", True),
        ("*?", "a.", True),
        ("_*", "_a", True),
        # unless the pattern writes it
        (".*", ".a", True),
        ("**/.*", "a/.b", True),
        (".a/**", ".a/b/c", True),
        (".a/**", ".a/.b", False),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert matcher(pattern)(path) is fits


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans())), st.integers(1, 4), st.integers(1, 20))
def test_files_are_cut_in_order_into_runs_that_are_small_enough(files: list[tuple[int, bool]], most: int, size: int) -> None:
    left = [FileEdition("raw.x", str(n), 1, bytes, "", "", datetime.now(UTC), "", copy) for n, (bytes, copy) in enumerate(files)]
    taken: list[FileEdition] = []
    while left:
        now, rest = cut(left, most, size)
        read = [f.size for f in now if not f.copy]
        assert now and len(read) <= most and (sum(read) <= size or len(read) == 1)
        taken, left = [*taken, *now], rest
    assert [f.path for f in taken] == [str(n) for n in range(len(files))]
