"""A replay reads what was read before: all files of a source, those of a pattern, those with rows set aside for a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import ops
from lake.errors import SourceMissing
from lake.replay import files_to_replay
from lake.store import Store
from tests.lake.project import write_project

BRONZE, RAW = "bronze.readings", "raw.readings"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_PROJECT", str(write_project(tmp_path / "project")))


def lake_with(folder: Path, *paths: str, rejects: dict[str, str] | None = None) -> Store:
    """A lake whose books say that run 1 of bronze.readings read these files, and set rows aside; its table is not looked at."""
    store, at = Store(str(folder)), ops.now()
    mine = {"source": RAW, "edition": 1, "size": 1, "etag": "1", "sha256": "", "modified": at, "address": BRONZE, "run": 1, "at": at}
    for status in ("planned", "read"):
        ops.append(store, "files", [mine | {"path": path, "status": status} for path in paths])
    ops.append(store, "files", [mine | {"path": "copy.csv", "status": "copy"}, mine | {"path": "other.csv", "status": "read", "source": "raw.other"}])
    run = {"address": BRONZE, "run": 1, "at": at, "inputs": "{}", "full": True, "code": "", "contract": ""}
    ops.append(store, "runs", [run | {"status": status} for status in ("planned", "published")])
    row = {"address": BRONZE, "run": 1, "at": at, "source": RAW, "edition": 1, "raw": b""}
    ops.append(store, "rejects", [row | {"file": f, "line": 1, "offset": 0, "reasons": [why, "late"]} for f, why in (rejects or {}).items()])
    return store


def test_files_are_chosen_by_pattern_and_by_the_reason_of_their_rejects(tmp_path: Path) -> None:
    store = lake_with(tmp_path, "a/1.csv", "a/2.csv", "b.csv", rejects={"a/1.csv": "not_a_number:value", "b.csv": "not_a_number:day"})
    assert files_to_replay(store, BRONZE, RAW) == {"a/1.csv", "a/2.csv", "b.csv"}
    assert files_to_replay(store, BRONZE, RAW, "a/*") == {"a/1.csv", "a/2.csv"}
    assert files_to_replay(store, BRONZE, RAW, reason="not_a_number") == {"a/1.csv", "b.csv"}
    assert files_to_replay(store, BRONZE, RAW, reason="not_a_number:value") == {"a/1.csv"}
    assert files_to_replay(store, BRONZE, RAW, "a/*", "late") == {"a/1.csv"}


@pytest.mark.parametrize(("pattern", "reason"), [("c*", None), (None, "not_a"), ("a/2*", "late")])
def test_where_there_is_nothing_to_replay_it_says_so(tmp_path: Path, pattern: str | None, reason: str | None) -> None:
    store = lake_with(tmp_path, "a/1.csv", "a/2.csv", rejects={"a/1.csv": "not_a_number:value"})
    with pytest.raises(SourceMissing, match=r"bronze\.readings has read no file of raw\.readings"):
        files_to_replay(store, BRONZE, RAW, pattern, reason)


@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.sampled_from(["a.csv", "b c.csv", "d/é.csv", "d/%2F.csv"]), st.sampled_from(["pattern", "header"]), min_size=1))
def test_the_files_of_all_reasons_are_the_files_with_rejects(tmp_path_factory: pytest.TempPathFactory, rejects: dict[str, str]) -> None:
    store = lake_with(tmp_path_factory.mktemp("lake"), *rejects, "well.csv", rejects=rejects)
    found = [files_to_replay(store, BRONZE, RAW, reason=why) for why in set(rejects.values())]
    assert frozenset().union(*found) == set(rejects)
    assert sum(map(len, found)) == len(rejects)
