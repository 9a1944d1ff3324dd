"""The benchmark of the gate: every way finds the same rows, and its verdict is the one that its figures bear."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from benchmarks.gate import Measured, Peers, expected, rules_of, side_by_side, tables, verdicts
from benchmarks.gate_ways import Done

OURS = ("plain", "lake", "gx", "gx cheapest", "hand")


class Answering(Peers):
    """Peers that answer with what their environment would: the table must not hang on it."""

    def __init__(self) -> None:
        pass

    def ask(self, way: str, source: object, rules: object, to: object) -> Done:
        return Done(1.0 if way == "plain" else 1.5, 2, 600, expected(rules_of(12), 600))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; the roots of its lakes are forgotten at the end."""
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "first"))
    return tmp_path


def test_every_way_counts_the_same_bad_rows_of_every_rule(elsewhere: Path, spark: SparkSession) -> None:
    said = list[str]()
    found = side_by_side(spark, elsewhere, [2_400], [12], 1, (*OURS, "soda"), None, said.append)
    by_way = {m.way: m for m in found}
    assert [(w, by_way[w].agrees, by_way[w].jobs > 0, by_way[w].records >= 2_400) for w in OURS] == [(w, True, True, True) for w in OURS], said
    assert by_way["hand"].split and not by_way["gx"].split
    assert by_way["soda"].error == "no environment of its own could be made"
    assert [row[-1] for row in tables(found)] == ["", "agree", "agree", "agree", "agree", "not measured: no environment of its own could be made"]
    assert by_way["gx"].jobs > by_way["gx cheapest"].jobs > by_way["plain"].jobs
    assert sorted(p.name for p in elsewhere.iterdir()) == ["project-12"]


def test_a_peer_is_compared_with_the_plain_write_of_its_own_process(elsewhere: Path, spark: SparkSession) -> None:
    (soda,) = side_by_side(spark, elsewhere, [600], [12], 1, ["soda"], Answering(), lambda *_: None)
    assert (soda.seconds, soda.beside, soda.agrees) == ([1.5], [1.0], True)
    ((*_, added, share, _, _, _, _, counts),) = tables([soda])
    assert (added, share, counts) == ("0.5", "+50%", "agree")


@given(st.integers(6, 60), st.integers(0, 100_000))
def test_every_rule_has_a_column_of_its_own_and_every_bad_row_a_rule(number: int, rows: int) -> None:
    rules = rules_of(number)
    assert len(rules) == len({r["column"] for r in rules}) == len({r["name"] for r in rules}) == number
    assert {r["kind"] for r in rules} == {"not null", "between", "in set", "regex", "length", "pair"}
    assert sum(expected(rules, rows).values()) == -(-rows // 100)


@pytest.mark.parametrize(
    "lake, gx, split, told",
    [
        (1.3, 3.0, True, ("+30%", "+200%", "6.7", "yes")),
        (1.7, 9.0, True, ("+70%", "+800%", "11.4", "no")),
        (1.5, 3.0, True, ("+50%", "+200%", "4.0", "no")),
        (1.3, 3.0, False, ("+30%", "+200%", "6.7", "no: bad rows are not set apart")),
    ],
)
def test_a_size_holds_where_the_write_and_stock_gx_keep_their_marks(lake: float, gx: float, split: bool, told: tuple[str, ...]) -> None:
    measured = [Measured(way, 100, 12, seconds=[s]) for way, s in (("plain", 1.0), ("gx", gx))]
    measured.append(Measured("lake", 100, 12, seconds=[lake], split=split))
    ((_, _, share, theirs, times, _, holds),) = verdicts(measured)
    assert (share, theirs, times, holds) == told


def test_peers_that_are_not_in_this_environment_are_not_in_the_product() -> None:
    assert {"cuallee", "soda"}.isdisjoint(sys.modules)
    lock = (Path(__file__).resolve().parents[2] / "requirements.lock").read_text(encoding="utf-8")
    assert "cuallee" not in lock and "soda" not in lock
