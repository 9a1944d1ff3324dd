"""Known damage in every source: each damaged record is caught where it must be, with its reason. `python -m tests.damage` plants more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake.contract import Contract, Source, addresses
from lake.lake import Lake
from lake.settings import Settings
from lake.store import Store
from tests.damage.kinds import KINDS, Damage
from tests.damage.place import Found, Place
from tests.damage.plant import File, Planted, planted
from tests.flows.place import PROJECT

pytestmark = pytest.mark.timeout(600)

SAMPLES = PROJECT / "samples" / "raw"
SOURCES = [a.split(".")[1] for a in addresses("raw")]
SEED = 7
# Every format and every kind, and silver.texts: 11 of 24 sources in a third of the time of all, which `python -m tests.damage` takes.
HERE = (
    "access", "kafka", "bgl", "hdfs_structured", "occupancy", "nab_windows", "wnut17",
    "banking77", "sms_spam", "sentiment_sentences", "asap_reviews_zh",
)  # fmt: skip


def source(name: str) -> Source:
    found = Contract.load(f"raw.{name}").source
    assert found is not None
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, store_home: Path, spark: SparkSession) -> Iterator[Place]:
    settings = Settings(root=str(tmp_path_factory.mktemp("damage") / "root"), home=store_home)  # pyright: ignore[reportCallIssue]
    conf: Any = spark.sparkContext._jsc.sc().conf()
    before = conf.get("spark.sql.codegen.factoryMode", "FALLBACK")
    conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")  # of 60 rows: compiling the code for them is most of the work
    yield Place(Lake(settings, Store(settings.root), listener=lambda *_: None, _spark=spark), SAMPLES, SEED)
    conf.set("spark.sql.codegen.factoryMode", before)


def test_all_that_is_planted_is_caught_with_its_reason_and_nothing_good(place: Place) -> None:
    found = Found()
    for name in HERE:
        place.source(name, found, files=1, rows=40, large=False)
    place.silver("silver.texts", found)
    place.jobs(found)
    print(
        f"\n{len(found.planted)} damaged in {len(found.kinds)} kinds, {found.caught.total()} caught; {found.good} good rows kept",
        *found.wrong,
        sep="\n",
    )
    assert found.wrong == []
    assert found.caught == Counter((p.damage.kind, p.source) for p in found.planted)
    assert len(found.kinds) >= 30 and {p.source for p in found.planted} >= set(HERE)


def test_the_same_files_once_more_are_nothing_new(place: Place) -> None:
    assert {name: place.run(f"bronze.{name}").status for name in place.files} == dict.fromkeys(place.files, "nothing")


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SOURCES), st.integers(0, 2**32))
def test_every_record_lies_where_it_is_said_to_whatever_the_seed(name: str, seed: int) -> None:
    for file in planted(SAMPLES, source(name), seed, rows=20):
        for offset, line, raw in [*((p.offset, p.line, p.item.raw) for p in file.places), *((p.offset, p.line, p.damage.raw) for p in _within(file))]:
            assert file.data[offset : offset + len(raw)] == raw
            assert file.data[:offset].count(b"\n") + 1 == line


def _within(file: File) -> list[Planted]:
    return [] if file.lost else list(file.planted)


def test_the_same_seed_plants_the_same_and_another_one_otherwise() -> None:
    one, again, other = (planted(SAMPLES, source("nab"), seed) for seed in (7, 7, 8))
    assert [f.data for f in one] == [f.data for f in again] != [f.data for f in other]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_gets_every_kind_that_has_a_way_to_damage_it(name: str) -> None:
    kinds = {p.damage.kind for file in planted(SAMPLES, source(name), SEED) for p in file.planted}
    assert {"broken UTF-8", "NUL byte", "byte order mark within", "archive cut"} <= kinds <= set(KINDS)
    assert len(kinds) >= 9


ONE = Planted(Damage("NaN", b"x", frozenset(["not_a_number:value"])), "nab", "a.csv", 3, 20)
CAUGHT = {"reasons": ["not_a_number:value"], "line": 3, "row": None, "raw": b"x"}


@pytest.mark.parametrize(
    ("rejects", "rows", "told"),
    [
        ([CAUGHT], {}, None),
        ([], {20: (3, 1, "row")}, "not caught"),
        ([], {}, "0 rejects in place of one"),
        ([CAUGHT, CAUGHT], {}, "2 rejects in place of one"),
        ([CAUGHT | {"reasons": ["fields"]}], {}, "['fields'] in place of ['not_a_number:value']"),
        ([CAUGHT | {"line": 4}], {}, "line 4"),
        ([CAUGHT | {"raw": b"y"}], {}, "its bytes are others"),
        ([CAUGHT | {"row": "{}"}], {}, "set aside as a row"),
    ],
)
def test_damage_that_is_not_caught_or_for_another_reason_is_seen(rejects: list[dict[str, Any]], rows: dict[int, Any], told: str | None) -> None:
    found = Found()
    Place(None, SAMPLES, SEED)._judge(ONE, rejects, rows, found)  # type: ignore[arg-type]
    assert (found.caught.total(), len(found.wrong)) == ((1, 0) if told is None else (0, 1))
    assert told is None or told in found.wrong[0]
