"""The page of a table's run: its rules with their figures, rows set aside, inputs; nothing personal, nothing from elsewhere, old books too."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import ops
from lake.lake import Lake
from lake.plan import plan
from lake.report.charts import columns, trend
from lake.report.table_page import headline, page_of, pages_there, render_table, write_pages, write_run_pages
from lake.report.tables import Point, TableFacts, due, has_page, read_tables, reason
from tests.lake.report import lakes
from tests.lake.report.test_charts import coordinates, svg
from tests.lake.report.test_page import parsed

REGEX = "expect_column_values_to_match_regex"


def facts(lake: Lake, address: str = "silver.texts", run: int | None = None) -> TableFacts:
    events = ops.events(lake.store)
    of = [e for e in events if e.address == address and has_page(e) and run in (None, e.run)]
    (found,) = read_tables(lake.store, plan(), events, of[-1:])
    return found


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lakes.judged(tmp_path_factory.mktemp("many"), 20)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lakes.judged(tmp_path_factory.mktemp("refused"), 5, runs=6, status="refused")


def test_a_rule_has_its_verdict_figure_threshold_fate_and_the_runs_before(many: Lake) -> None:
    found = facts(many)
    regex = next(r for r in found.rules if r.rule == REGEX and r.columns == "text")
    assert (regex.success, regex.on_fail, regex.judged_by, regex.asked) == (False, "quarantine", "one pass", "^[^\\x00-\\x1f\\x7f]+$")
    assert re.fullmatch(r"\d of \d{3,4}", regex.seen) and regex.share and regex.high == 0.0
    assert [p.run for p in regex.past] == list(range(1, 25)) and regex.past[-1].value == (regex.unexpected or 0) / (regex.rows or 1)
    assert regex.examples[0] == f"text_id = {0:032x}"
    lost = [r.success for r in found.rules]
    assert lost == sorted(lost) and [r.fate for r in found.failed] == ["warn", "quarantine"]
    assert next(r for r in found.rules if ("proportion" in r.rule and r.columns == "folded_id") or r.columns == "text").low == 0.5


def test_the_page_says_all_of_it(many: Lake) -> None:
    found = facts(many)
    page = render_table(found, {("silver.texts", 23), ("bronze.banking77", 24)}, "n.html")
    said = parsed(page.replace('"../', '"#').replace('href="23.html"', 'href="#rules"').replace('"#../n.html"', '"#rules"').replace(
        '"#bronze.banking77/24.html"', '"#rules"')).words  # fmt: skip
    for words in (
        "silver.texts", "run 24, version 24", "rows published", "values match regex", "sets rows aside", "refuses the batch", "none of", "0.41",
        "Rows that broke it", "The last 24 runs", "value missing", "train.csv line 9", "bronze.banking77", "made by run 24", "judged by",
    ):  # fmt: skip
        assert words in said, words
    assert 'href="../../n.html"' in page and 'href="23.html"' in page and 'href="../bronze.banking77/24.html"' in page
    assert not re.search(r"<script|<iframe|<object|@import|url\((?!#)|https?://|//cdn", page)
    assert len(page) < 120_000


def test_no_personal_data_is_on_the_page(many: Lake) -> None:
    page = render_table(facts(many))
    assert "example.org" not in page and "7700 900123" not in page and "[EMAIL]" in page


def test_what_a_rule_saw_of_a_classified_column_is_hidden(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    values = {"column": "message", "threshold": '{"value_set": []}'}
    books.check("silver.log_events", "expect_column_most_common_value_to_be_in_set", False, observed='["alice was here"]', message="alice", **values)
    books.check("silver.log_events", "expect_column_max_to_be_between", False, observed="4711", message="4711", **values)
    books.run("silver.log_events", "published", kept=1, version=1)
    books.close()
    found = facts(lake, "silver.log_events")
    page = render_table(found)
    assert [r.seen for r in found.rules] == ["hidden", "hidden"] and all(p.value is None for r in found.rules for p in r.past)
    assert "alice" not in page and "4711" not in page


def test_a_refused_batch_says_so_and_what_to_do(refused: Lake) -> None:
    found = facts(refused)
    assert headline(found).mood == "bad"
    assert headline(found).sentence == "The gate refused this batch of silver.texts: 1 rule did not hold."
    words = parsed(render_table(found)).words
    assert "Nothing of this batch is visible" in words and "lake show silver.texts" in words and "they count for nothing yet" in words
    assert "The batch has 37 rows; 500 to 1,000 was asked." in words


def test_rows_set_aside_are_counted_run_by_run_for_each_reason(many: Lake) -> None:
    found = facts(many)
    assert [(c.title, c.columns) for c in found.causes] == [("values match regex", "text"), ("value missing", "language")]
    for cause in found.causes:
        rows = {r["run"]: 0 for r in ops.read(many.store, "rejects")}
        for r in ops.read(many.store, "rejects"):
            rows[r["run"]] += cause.found.reason in r["reasons"]
        assert [p.value for p in cause.past] == [rows[p.run] for p in cause.past]
        assert cause.past[-1].value == cause.found.rows


def test_verdicts_of_before_are_told_without_what_they_did_not_record(tmp_path: Path) -> None:
    """ops.checks of an older Millrace: neither what a failure does nor by whom it was judged, nor how many rows."""
    lake = lakes.lake_in(tmp_path)
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    books.check("silver.texts", "expect_column_values_to_not_be_null", column="text", observed="0 of 9 unexpected", threshold="{}")
    books.check("silver.texts", "rejected_share", False, observed="0.6000", threshold="<= 0.5", message="6 of 10 rows were rejected")
    books.run("silver.texts", "published", kept=9, version=1)
    books.close()
    found = facts(lake)
    share = found.rules[0]
    assert (share.title, share.on_fail, share.fate, share.asked, share.seen, share.high) == (
        "rejected share",
        None,
        "refuse",
        "at most 0.5",
        "0.6",
        0.5,
    )
    words = parsed(render_table(found)).words
    assert "unknown" in words and "6 of 10 rows were rejected" in words and "judged in the pass" not in words


def test_a_rule_that_is_written_twice_keeps_its_two_lines(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    for run in (1, 2):
        books = lakes.Books(lake.store, lake.night, lakes.BEGAN + timedelta(hours=run))
        for mostly, bad in ((0.5, 1), (0.99, 2)):
            limits = json.dumps({"mostly": mostly, "row_condition": "unit = 'degC'"})
            books.check("silver.texts", REGEX, True, column="text", observed=f"{bad + run} of 10 unexpected", threshold=limits, run=run)
        books.run("silver.texts", "published", kept=9, version=run, run=run)
        books.close()
    rules = facts(lake).rules
    assert [(r.where, r.asked, [p.value for p in r.past]) for r in rules] == [
        ("unit = 'degC'", "50% of rows", [0.2, 0.3]),
        ("unit = 'degC'", "99% of rows", [0.3, 0.4]),
    ]


def test_a_rule_says_why_it_is_asked(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    why = "A run that read rows and kept none has lost them."
    books.check("silver.texts", "expect_table_row_count_to_be_between", observed="9", threshold='{"min_value": 1}', why=why)
    books.check("silver.texts", "expect_table_row_count_to_be_between", observed="9", threshold='{"min_value": 2}')
    books.run("silver.texts", "published", kept=9, version=1)
    books.close()
    assert [r.why for r in facts(lake).rules] == [why, ""]


def test_files_of_a_run_are_named_and_a_changed_job_is_told(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    books = lakes.Books(lake.store, "n2", lakes.BEGAN + timedelta(days=1))
    books.run("bronze.banking77", "published", kept=5, run=2, version=2, inputs={"raw.banking77": {"files": 1, "bytes": 9}})
    books.rows["runs"] = [{**r, "code": "other"} for r in books.rows["runs"]]
    books.close()
    first, second = facts(lake, "bronze.banking77", 1), facts(lake, "bronze.banking77", 2)
    assert (first.files_in_all, [f.path for f in first.files], first.inputs[0].read) == (2, ["raw.banking77/1.log", "train.csv"], "12 files")
    assert (second.files, second.changed, second.inputs[0].read) == ((), ("code",), "1 file")
    assert "Its code is another than at run 1." in parsed(render_table(second)).words


def test_hostile_text_stays_text(many: Lake) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=alert(1)> {{ 7*7 }}"
    found = facts(many)
    rules = tuple(
        replace(r, rule=evil, columns=evil, sentence=evil, seen=evil, asked=evil, why=evil, where=evil, examples=(evil,)) for r in found.rules
    )
    causes = tuple(replace(c, title=evil, columns=evil, found=replace(c.found, reason=evil)) for c in found.causes)
    page = render_table(replace(found, address=evil, about=evil, rules=rules, causes=causes, message=evil))
    parsed(page)
    assert "<script" not in page and "<img" not in page


def test_pages_are_made_for_the_runs_of_a_night_and_old_ones_stay(tmp_path: Path) -> None:
    lake = lakes.judged(tmp_path, 5, runs=3)
    events = ops.events(lake.store)
    made = write_pages(lake, plan(), events, lakes.NIGHT, "n.html")
    assert made == {(a, 3): f"tables/{a}/3.html" for a in ("silver.texts", "bronze.banking77")} and pages_there(lake) == made.keys()
    key, local = "reports/pages/tables/silver.texts/3.html", tmp_path / "state" / "reports" / page_of(("silver.texts", 3))
    page = lake.store.get(key)
    assert page == local.read_bytes() and b"n.html" in (page or b"")
    lake.store.put(key, b"as it was")
    assert write_pages(lake, plan(), events, "the night after", "n2.html") == made  # nothing ran: nothing is made anew
    assert lake.store.get(key) == b"as it was"
    assert write_pages(lake, plan(), events, lakes.NIGHT, "n.html") == made and lake.store.get(key) != b"as it was"


def test_pages_that_can_not_be_made_are_told_and_the_night_goes_on(tmp_path: Path) -> None:
    lake = lakes.judged(tmp_path, 5, runs=2)
    said = list[str]()
    lake.listener = lambda about, text: said.append(text)
    events = ops.events(lake.store)
    for file in Path(lake.store.delta_uri("ops.checks")).rglob("*.parquet"):
        file.unlink()
    assert write_pages(lake, plan(), events, lakes.NIGHT) == {}
    assert len(said) == 1 and said[0].startswith("the pages of its tables could not be made")
    assert write_run_pages(lake, plan(), {"silver.texts"}, lakes.FIRST) == [] and len(said) == 2


def test_a_run_by_hand_leaves_its_page(tmp_path: Path) -> None:
    lake = lakes.judged(tmp_path, 5, runs=2)
    last = max(e.at for e in ops.events(lake.store) if e.address == "silver.texts")
    assert [p.name for p in write_run_pages(lake, plan(), {"silver.texts"}, last)] == ["2.html"]
    assert write_run_pages(lake, plan(), {"silver.texts"}, last + timedelta(seconds=1)) == []


def test_models_reports_and_runs_without_a_number_have_no_page() -> None:
    asked = [
        ("silver.a", "published", 1),
        ("silver.a", "refused", 2),
        ("silver.b", "failed", 1),
        ("silver.b", "skipped", 0),
        ("models.m", "published", 1),
    ]
    events = [
        ops.Event(address, run, status, lakes.BEGAN, {}, False, "c", "k", "n", None, None, None, None, None, None, None)
        for address, status, run in asked
    ]
    assert [(e.address, e.run) for e in due(events, "n", set())] == [("silver.a", 2), ("silver.a", 1)]
    assert due(events, "another", {("silver.a", 2)}) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{REGEX}:text", ("values match regex", "text")),
        ("missing:label", ("value missing", "label")),
        ("not_unique:station,day", ("key not unique", "station, day")),
        ("empty_row", ("empty row", "")),
        ("out_of_range:a:b", ("value out of range", "a:b")),
    ],
)
def test_reasons_in_words(name: str, said: tuple[str, str]) -> None:
    assert reason(name) == said


points = st.builds(
    lambda values: [Point(n, lakes.BEGAN, v, held) for n, (v, held) in enumerate(values, 1)],
    st.lists(st.tuples(st.none() | st.floats(allow_nan=False, allow_infinity=False), st.booleans()), min_size=1, max_size=30),
)
limits = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(points, limits, limits, st.booleans())
def test_a_trend_of_any_figures_stays_in_its_frame(found: list[Point], low: float | None, high: float | None, share: bool) -> None:
    drawn = trend([replace(p, value=abs(p.value)) if share and p.value is not None else p for p in found], low, high, "x", share=share)
    if any(p.value is not None for p in found):
        svg(drawn)
        assert all(0 <= n <= 1000 for n in coordinates(drawn))
    else:
        assert drawn.count("<i ") == len(found)


@given(points, st.lists(st.none() | st.floats(0, 1e300), max_size=30))
def test_bars_of_any_figures_stay_in_their_frame(found: list[Point], part: list[float | None]) -> None:
    drawn = columns([replace(p, value=abs(p.value)) if p.value is not None else p for p in found], "x", part=part)
    svg(drawn)
    assert all(0 <= n <= 1000 for n in coordinates(drawn))
