"""The page: says what happened, parses, escapes what is hostile, shows no secret, and stands when half of the lake is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from lake.contract import Contract
from lake.lake import Lake
from lake.plan import plan
from lake.report.books import Ran
from lake.report.data import Prediction
from lake.report.facts import Facts, read_facts
from lake.report.page import ago, duration, headline, page_name, render, row, secrets_of, size
from tests.lake.report import lakes

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "rect", "circle"}


class Strict(HTMLParser):
    """Every element closed in order, every id once, every link to an id that is there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.links += [v for k, v in attrs if k in ("href", "src", "action") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data


def parsed(page: str) -> Strict:
    found = Strict()
    found.feed(page)
    found.close()
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert all((link.startswith("#") and link[1:] in found.ids) or link == "data:," for link in found.links), found.links
    assert not any(name.startswith("on") for name, _ in found.attributes)
    return found


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return read_facts(lakes.full(tmp_path_factory.mktemp("full")))


def test_the_page_of_a_good_night(full: Facts) -> None:
    page = render(full)
    words = parsed(page).words
    assert full.problems == {}
    assert headline(full).mood == "well"
    for said in (
        "All well", "64 of 23,581 rows were set aside", "sensor_readings", "out_of_range:value", "9,412 rows, the last five batches",
        "NotLeaderForPartitionException", "machine_temperature_press_7", "version 1", "language", "taken for", "Least sure", "我的卡在地铁上被偷了",
        "train.csv, line", "2 min 32 s", "java.io, in kafka",
    ):  # fmt: skip
        assert said in words, said
    assert len(page) < 600_000


def test_it_is_self_contained_and_without_script(full: Facts) -> None:
    page = render(full)
    assert not re.search(r"<script|<iframe|<object|<link(?! rel=\"icon\" href=\"data:,\")|@import|url\((?!#)|https?://|//cdn", page)


def test_a_night_that_stopped_half_way(tmp_path: Path) -> None:
    facts = read_facts(lakes.half_failed(tmp_path))
    page = render(facts)
    words = parsed(page).words
    assert facts.problems == {}
    said = headline(facts)
    assert said.mood == "bad"
    assert said.sentence == "bronze.nab failed, the gate refused silver.texts and gold.log_hourly was cut short; 1 table behind them was not touched."
    assert "lake run bronze.nab" in words and "bob@example.com" not in page
    assert "There is no champion yet" in words and "gold.sensor_hourly is not there yet" in words
    assert "<script>" not in page and "eve@example.org" not in page


def test_an_empty_lake(tmp_path: Path) -> None:
    facts = read_facts(lakes.lake_in(tmp_path))
    words = parsed(render(facts)).words
    assert facts.problems == {}
    assert "Nothing has run yet." in words


def test_no_personal_data_of_a_row_set_aside_is_on_the_page(full: Facts) -> None:
    page = render(full)
    assert "[hidden, 62 bytes]" in parsed(page).words
    assert "alice.smith" not in page and "203.0.113.7" not in page and "No space left" not in page


def test_a_night_that_trained_nothing_shows_the_champion_that_stands(tmp_path: Path) -> None:
    """Everything as the night before left it, but for a source that came late and was refused."""
    lakes.full(tmp_path)
    lake = lakes.lake_in(tmp_path, "2026-03-13T031500Z")
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN + timedelta(days=1))
    for step in plan().steps:
        if not step.job.writes.startswith(("reports.", "bronze.kafka")):
            books.run(step.job.writes, "nothing", run=2)
    books.run("bronze.kafka", "refused", run=2, message="bronze.kafka run 2: the gate refused 9 rows: too few\n  next: lake show bronze.kafka")
    books.check("bronze.kafka", "row_count", success=False, message="9 rows, 1,000 at least were asked", run=2)
    books.reject("bronze.kafka", ["no_begin"], file="server.log", line=1, raw=b"at kafka.log.Log", run=2)
    books.close()
    facts = read_facts(lake)
    words = parsed(render(facts)).words
    assert facts.problems == {}
    assert headline(facts).sentence == "The gate refused bronze.kafka."
    for said in ("9 rows, 1,000 at least were asked", "lake show bronze.kafka", "in a batch that was refused: they count for nothing yet",
                 "version 1", "at kafka.log.Log", "Least sure", "Where one of them came from"):  # fmt: skip
        assert said in words, said
    assert facts.rows_rejected == 0


def test_before_the_first_training_there_is_no_model(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    lakes.write_texts(lake.store)
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    books.run("models.intent", "refused", message="models.intent run 1: accuracy 0.31 is below 0.8\n  next: lake show models.intent")
    books.close()
    facts = read_facts(lake)
    words = parsed(render(facts)).words
    assert facts.problems == {} and facts.champion is None
    assert "There is no champion yet" in words and "accuracy 0.31 is below 0.8" in words


def test_hostile_text_stays_text(full: Facts) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=alert(1)> \u202e {{ 7*7 }}"
    ran = (Ran("silver.texts", evil, "failed", ("raw.x",), run=1, message=evil, next_step=evil), *full.ran[1:])
    predictions = full.predictions and replace(
        full.predictions, sample=(Prediction(evil, evil, evil, 0.5, 1, 'en" onclick="x'),), labels=((evil, 3),)
    )
    sensors = full.sensors and replace(full.sensors, series=tuple(replace(s, sensor=evil, metric=evil, unit=evil) for s in full.sensors.series))
    logs = full.logs and replace(full.logs, sources=tuple(replace(s, source=evil, hosts=(evil,)) for s in full.logs.sources))
    champion = full.champion and replace(full.champion, labels=(evil,) * 12, reason=evil, about=((evil, evil),))
    page = render(replace(full, ran=ran, predictions=predictions, sensors=sensors, logs=logs, champion=champion, night=evil))
    parsed(page)
    assert "<script" not in page and "<img" not in page and "49" not in re.findall(r"\{\{|49 ", page)


def test_no_secret_ever_shows(full: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_SOURCE_PARTNER_SECRET_KEY", "zz-partner-secret-zz")
    monkeypatch.setenv("LAKE_SECRET_KEY", "main-secret-key-123")
    monkeypatch.setenv("LAKE_ACCESS_KEY", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws<secret>&'key\"")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "aws/session+token=")
    lake: Lake = lakes.lake_in(tmp_path)
    said = "request with zz-partner-secret-zz and main-secret-key-123 failed"
    kept = "not so aws<secret>&'key\" and aws/session+token=, or aws%2Fsession%2Btoken%3D"
    ran = (Ran("bronze.x", "", "failed", (), run=1, message=said), Ran("bronze.y", "", "failed", (), run=1, message=kept), *full.ran)
    page = render(replace(full, ran=ran), secrets_of(lake))
    assert "not so [SECRET] and [SECRET], or [SECRET]" in page
    assert "zz-partner-secret-zz" not in page and "main-secret-key-123" not in page
    assert "request with [SECRET] and [SECRET] failed" in page


def test_a_part_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    folder = Path(lake.store.delta_uri("gold.log_hourly"))
    for file in folder.rglob("*.parquet"):
        file.unlink()
    facts = read_facts(lake)
    assert set(facts.problems) == {"logs"}
    words = parsed(render(facts)).words
    assert "This part could not be read" in words and "machine_temperature_press_7" in words


def test_many_labels_are_drawn_not_written(full: Facts) -> None:
    assert full.champion is not None
    labels = tuple(f"label_{n}" for n in range(77))
    confusion = tuple(tuple(40 if s == t else int(s == (t + 3) % 77) for s in range(77)) for t in range(77))
    page = render(replace(full, champion=replace(full.champion, labels=labels, confusion=confusion)))
    parsed(page)
    assert 'class="heat"' in page and 'class="matrix"' not in page


def test_headlines(full: Facts) -> None:
    def of(*statuses: str, rejected: int = 0) -> str:
        ran = tuple(
            Ran(f"bronze.t{i}", "", s, (), run=1, rows_in=100 if s == "published" else None, rows_rejected=rejected if s == "published" else None)
            for i, s in enumerate(statuses)
        )
        return headline(replace(full, ran=ran)).sentence

    assert of("published", "nothing") == "All well: 1 table was published, 1 had nothing new; no row was set aside."
    assert of("nothing", "nothing") == "Nothing new tonight: all 2 tables stand as before."
    assert of("published", "published", rejected=1) == "All well: 2 tables were published; 2 of 200 rows were set aside."
    assert of("failed", "skipped", "skipped") == "bronze.t0 failed; 2 tables behind it were not touched."
    assert of("refused") == "The gate refused bronze.t0."
    assert of("failed", "failed", "failed", "failed", "failed").endswith("bronze.t2 failed and 2 more went wrong.")
    assert of("absent") == "Nothing has run yet."
    assert of("published", "absent") == "1 table was published, 1 is not made yet; no row was set aside."


def test_the_row_is_as_its_contract_says(full: Facts) -> None:
    contract = Contract.load("reports.nightly")
    made = row(full, "s3a://lake/reports/pages/x.html")
    assert tuple(made) == tuple(c.name for c in contract.columns)
    table = pa.Table.from_pylist([made], schema=contract.schema)
    assert all(table[c.name].null_count == 0 for c in contract.columns if c.required)
    others = sum(not step.job.writes.startswith("reports.") for step in plan().steps)
    assert (made["mood"], made["published"], made["rows_rejected"], made["model_version"], made["predictions"]) == ("well", others, 64, 1, 460)


def test_words() -> None:
    assert [duration(s) for s in (None, 0.04, 9.9, 59.6, 152.4, 3600, 7800)] == [
        "",
        "0.0 s",
        "9.9 s",
        "1 min",
        "2 min 32 s",
        "1 h 0 min",
        "2 h 10 min",
    ]
    assert [size(n) for n in (None, 812, 1_400_000, 99_950, 3 * 10**12)] == ["", "812 B", "1.4 MB", "100 kB", "3.0 TB"]
    assert ago(None, lakes.BEGAN) == "" and ago(lakes.BEGAN, lakes.BEGAN) == "just now" and ago(lakes.FIRST, lakes.BEGAN) == "2 days ago"


def test_a_night_is_a_safe_file_name(full: Facts) -> None:
    assert page_name(full) == f"{lakes.NIGHT}.html"
    assert page_name(replace(full, night="../../etc/passwd")) == "------etc-passwd.html"
    assert page_name(replace(full, night=None)).startswith("by-hand-")
