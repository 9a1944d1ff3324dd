"""The feed: every row of the pinned version once an epoch over all ranks, whatever files, row groups and ranks there are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken, SourceMissing, TrainingFailed
from lake.models import feed as feed_module
from lake.models.feed import Feed, FeedShort, take_census
from lake.store import Store
from lake.table import Manifest
from tests.lake.models import tiny


def epoch(manifest: Manifest, rank: int, world: int, **more: Any) -> list[dict[str, Any]]:
    return list(Feed(manifest, ["n", "label"], rank=rank, world=world, **more))


def rows_of(batches: list[dict[str, Any]]) -> list[int]:
    return [int(n) for b in batches for n in b["n"][b["weight"] > 0]]


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 60), files=st.integers(1, 3), group=st.integers(1, 40), world=st.integers(1, 3), batch=st.integers(1, 16),
    splits=st.sampled_from([("train",), ("train", "test"), ("test", "test", "train")]), buffer=st.integers(1, 80), seed=st.integers(0, 5),
)  # fmt: skip
def test_every_row_once_and_equal_steps(
    rows: int, files: int, group: int, world: int, batch: int, splits: tuple[str, ...], buffer: int, seed: int
) -> None:
    files = min(files, rows)
    with tempfile.TemporaryDirectory() as folder:
        manifest = tiny.table(folder, rows, files=files, group=group, splits=splits)
        wanted = [i for i in range(rows) if splits[i % len(splits)] == "train"]
        parts = [epoch(manifest, rank, world, batch=batch, buffer_rows=buffer, seed=seed) for rank in range(world)]
    assert sorted(n for part in parts for n in rows_of(part)) == wanted
    assert {len(part) for part in parts} == {-(-len(wanted) // batch)}
    assert max(len(rows_of(p)) for p in parts) - min(len(rows_of(p)) for p in parts) <= 1
    for step in zip(*parts, strict=True):
        real = sum(int(b["weight"].sum()) for b in step)
        assert {b["global_rows"] for b in step} == {real} and real > 0
        for b in step:
            assert b["input_ids"].shape == b["attention_mask"].shape and len(b["input_ids"]) == len(b["label"]) == len(b["weight"])
            assert b["input_ids"].shape[1] == b["attention_mask"].sum(1).max()  # cut to the longest


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_position_is_exact(tmp_path: Path, world: int) -> None:
    manifest = tiny.table(tmp_path, 100, group=13)
    for rank in range(world):
        whole = Feed(manifest, ["n"], rank=rank, world=world, batch=8, buffer_rows=24, seed=4)
        told = [[int(n) for n in b["n"]] for _ in range(2) for b in whole]
        for stop in (1, 5, 12, 13, 14, 20):
            cut = Feed(manifest, ["n"], rank=rank, world=world, batch=8, buffer_rows=24, seed=4)
            seen = 0
            while seen < stop:
                batches = cut.batches()
                for _ in batches:
                    seen += 1
                    if seen == stop:
                        break
                batches.close()
            again = Feed(manifest, ["n"], rank=rank, world=world, batch=8, buffer_rows=24, seed=4)
            again.load_state_dict(cut.state_dict())
            rest: list[list[int]] = []
            while again.epoch < 2:
                rest += [[int(n) for n in b["n"]] for b in again]
            assert rest == told[stop:], f"stopped after {stop}"


def test_a_position_of_another_order_is_refused(tmp_path: Path) -> None:
    manifest = tiny.table(tmp_path, 40)
    state = Feed(manifest, ["n"], seed=1).state_dict()
    with pytest.raises(TrainingFailed, match=r"seed 1 \(here 2\)"):
        Feed(manifest, ["n"], seed=2).load_state_dict(state)


def test_epochs_and_seeds_differ_and_repeat(tmp_path: Path) -> None:
    manifest = tiny.table(tmp_path, 96, group=8)
    feed = Feed(manifest, ["n"], batch=16, seed=1)
    first, second = rows_of(list(feed)), rows_of(list(feed))
    assert first != second and sorted(first) == sorted(second)
    assert rows_of(epoch(manifest, 0, 1, batch=16, seed=1)) == first
    assert rows_of(epoch(manifest, 0, 1, batch=16, seed=2)) != first


def test_rows_of_like_length_meet_on_every_rank(tmp_path: Path) -> None:
    manifest = tiny.table(tmp_path, 600, group=100)
    unsorted = 0.0
    for bucket in (1, feed_module.BUCKET_STEPS):
        ranks: list[list[int]] = []
        for rank in range(2):
            feed_module.BUCKET_STEPS, kept = bucket, feed_module.BUCKET_STEPS
            try:
                ranks.append([b["input_ids"].shape[1] for b in epoch(manifest, rank, 2, batch=32)])
            finally:
                feed_module.BUCKET_STEPS = kept
        if bucket > 1:
            assert np.mean(ranks) < unsorted - 3  # of 16 columns at most
            assert max(abs(a - b) for a, b in zip(*ranks, strict=True)) <= 2
            assert any(a > b for a, b in pairwise(ranks[0]))  # and the batches are shuffled
        unsorted = float(np.mean(ranks))


def test_reads_the_pinned_version_only(tmp_path: Path) -> None:
    manifest = tiny.table(tmp_path, 30)
    write_deltalake(tmp_path, tiny.examples(50), mode="overwrite")
    assert sorted(rows_of(epoch(manifest, 0, 1))) == list(range(30))
    write_deltalake(tmp_path, tiny.examples(10), mode="append")
    DeltaTable(tmp_path).vacuum(0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(SourceMissing, match=r"pinned by version 0 of gold\.tiny, is gone"):
        Feed(manifest, ["n"])


def test_on_the_store(store: Store) -> None:
    manifest = tiny.table(store.delta_uri("gold.tiny"), 70, files=2, group=16, options=store.delta_options())
    assert sorted(n for rank in range(2) for n in rows_of(epoch(manifest, rank, 2, batch=8))) == list(range(70))


def test_a_file_of_other_length_is_short(tmp_path: Path) -> None:
    manifest = tiny.table(tmp_path, 30)
    wrong = replace(manifest, files=tuple(replace(f, rows=f.rows + 1) for f in manifest.files))
    with pytest.raises(FeedShort, match="has 30 rows, its manifest says 31"):
        Feed(wrong, ["n"])


@pytest.mark.parametrize(("lost", "words"), [("group", "petastorm ended before"), ("row", "rows delivered of 8"), ("twice", "more than the")])
def test_what_petastorm_loses_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str, words: str) -> None:
    manifest = tiny.table(tmp_path, 32, group=8)
    stock = feed_module.reading

    @contextmanager
    def losing(*args: Any, **more: Any) -> Iterator[Iterator[dict[str, np.ndarray]]]:
        with stock(*args, **more) as read:
            batches = list(read)
        if lost == "group":
            batches = batches[:-1]
        elif lost == "row":
            batches[1] = {name: column[:-1] for name, column in batches[1].items()}
        else:
            batches.append(batches[0])
        yield iter(batches)

    monkeypatch.setattr(feed_module, "reading", losing)
    with pytest.raises(FeedShort, match=words):
        epoch(manifest, 0, 1)


def test_nulls_and_missing_columns_are_refused(tmp_path: Path) -> None:
    rows = tiny.examples(10)
    holes = rows.set_column(rows.schema.get_field_index("label"), "label", pa.array([None, *["a"] * 9]))
    write_deltalake(tmp_path, holes)
    with pytest.raises(ContractBroken, match="row group 0: 1 nulls in label"):
        Feed(tiny.pinned(tmp_path), ["label"])
    with pytest.raises(ContractBroken, match="no column tongue"):
        Feed(tiny.table(tmp_path / "whole", 10), ["tongue"])


def test_the_census_counts_labels_and_slices(tmp_path: Path) -> None:
    census = take_census(tiny.table(tmp_path, 40, files=2, splits=("train", "test")), values=("label", "language"))
    assert census.of("label") == ("card", "cash", "money") and census.of("language") == ("en", "zh")
    assert (census.rows("train"), census.rows("test"), census.rows("validation")) == (20, 20, 0)
    assert census.values["language", "train"] == {"en": 16, "zh": 4}
