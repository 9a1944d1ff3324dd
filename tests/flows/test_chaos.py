"""Ten nights killed -9, each a step further than the one before, in two lakes side by side. `make chaos` breaks more."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import deltalake
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake.lake import Lake
from lake.plan import plan
from lake.run import load, run
from lake.server import Server
from lake.settings import Settings
from tests.chaos.kills import at_boundary
from tests.chaos.place import Place, Seen, difference, sums
from tests.chaos.project import ORDER, told, weather

pytestmark = pytest.mark.timeout(600)

SEED = 7
# Each list is one lake's. The kill before the intent, and the one after it, need no Spark: they cost a second or two.
CHAINS = {
    "bronze.readings": ["listed:bronze.readings", "written:bronze.readings", "unanswered*:bronze.readings", "planned:silver.readings",
                        "rejected:silver.readings"],
    "gold.daily": ["listed:gold.daily", "asked*:gold.daily", "committed:gold.daily", "writing*:gold.totals", "compacted:ops.runs"],
}  # fmt: skip


@pytest.fixture(scope="module")
def place(server: Server, store_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The suite's server, and a process that forks `lake` commands of the project that is to be broken."""
    with Place.opened(tmp_path_factory.mktemp("chaos"), store_home) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE_PROJECT", str(opened.folder / "project"))
        yield opened


@pytest.fixture(scope="module")
def undisturbed(place: Place, spark: SparkSession) -> dict[str, str]:
    """Two nights that nobody disturbs, in the suite's own Spark: the lake after them, and copies of it before an address."""
    first, second = weather(SEED)
    name = f"{secrets.token_hex(4)}-undisturbed"
    found = {"": name}
    settings = Settings(root=place.root(name), home=place.settings.state)  # pyright: ignore[reportCallIssue]
    for files in (first, second):
        place.land(name, files)
        for address in ORDER:
            if files is second and address in CHAINS:
                found[address] = place.copy(name, f"{name}-before-{address}")
            step = plan(place.folder / "project").step(address)
            outcome = run(step, load(step), Lake(settings, place.store(name), listener=lambda *_: None, _spark=spark))
            assert outcome.error is None
    assert sums(place.rows(name)) == told({**first, **second}).rows
    return found


def test_ten_nights_killed_a_step_further_each_lose_and_double_nothing(place: Place, undisturbed: dict[str, str]) -> None:
    expected, before = place.seen(undisturbed[""]), place.seen(undisturbed["bronze.readings"])
    assert not expected.wrong

    def broken(first: str) -> None:
        name = place.copy(undisturbed[first], f"{undisturbed[first]}-killed")
        for kill in CHAINS[first]:
            point, _, address = kill.partition(":")
            at_boundary(place, name, point, address)
            assert place.half(name, before, expected) == [], kill
        nights = place.brought_to_an_end(name)
        assert [n.code for n in nights] == [0], nights[-1].said()[-4000:]
        found = place.compared(name, expected)
        print(f"\n{first}: {len(CHAINS[first])} kills, {found.expected} rows, {found.lost} lost, {found.doubled} doubled")
        assert found.fine, found.told
        versions = place.versions(name)
        assert place.night(name).code == 0
        assert place.versions(name) == versions

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(broken, first) for first in CHAINS]:
            done.result()


def test_a_row_that_is_lost_or_doubled_and_a_book_that_is_open_are_seen(place: Place, undisturbed: dict[str, str]) -> None:
    expected = place.seen(undisturbed[""])
    name = place.copy(undisturbed[""], f"{undisturbed['']}-wrong")
    assert place.compared(name, expected).fine
    table: Any = place.delta(name, "gold.daily")
    rows = table.to_pyarrow_table()
    table.delete(f"day = '{rows['day'][0]}' and station = '{rows['station'][0]}'")
    deltalake.write_deltalake(
        place.delta(name, "silver.readings"), place.delta(name, "silver.readings").to_pyarrow_table().slice(0, 1), mode="append"
    )
    found = place.compared(name, expected)
    assert (found.lost, found.doubled, found.fine) == (1, 1, False)
    assert set(place.half(name, expected)) == {"gold.daily", "silver.readings"}
    store: Any = place.delta(name, "ops.runs")
    store.delete("status = 'published' and address = 'gold.totals' and run = 2")
    assert any("gold.totals: run 2 is still open" in line for line in place.compared(name, expected).told)


ROWS = st.lists(st.sampled_from("abcdef"), max_size=12)


@given(ROWS, ROWS, ROWS)
def test_what_is_lost_and_what_is_doubled_add_up(rows: list[str], away: list[str], more: list[str]) -> None:
    """Whatever rows go and come: the difference has each of them, in tables and in books, and is fine only when there are none."""
    held, went, came = Counter(rows), Counter(away) & Counter(rows), Counter(more)
    after = held - went + came
    expected, found = Seen({"t": held}, {"b": held}, ()), Seen({"t": after}, {"b": after}, ())
    seen = difference(found, expected)
    assert seen.lost == 2 * (went - came).total()
    assert seen.doubled == 2 * (came - went).total()
    assert seen.fine == (went == came)
    assert difference(found, expected, ledger=False).lost * 2 == seen.lost
