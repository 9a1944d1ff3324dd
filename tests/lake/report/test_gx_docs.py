"""GX's own Data Docs: built from the books alone, in the lake byte for byte, without what is classified."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lake.errors import SourceMissing
from lake.report.gx_docs import write_docs
from tests.lake.report import lakes


def words(page: Path) -> str:
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_docs_of_a_verdict_are_built_and_lie_in_the_lake(tmp_path: Path) -> None:
    lake = lakes.judged(tmp_path, 9, runs=3, status="refused")
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    books.check("silver.texts", "rejected_share", observed="0.0100", threshold="<= 0.5", run=3)
    books.check("silver.texts", "expect_column_max_to_be_between", observed='"zoe@example.org"', threshold="{}", column="text", run=3)
    books.check(
        "silver.texts", "expect_column_values_to_be_in_set", observed="0 of 9 unexpected", threshold='{"value_set": ["x', column="label", run=3
    )
    books.check(
        "silver.texts", "expect_column_pair_values_a_to_be_greater_than_b", False, observed="2 of 9 unexpected", threshold='{"or_equal": true}',
        column="label, split", run=3,
    )  # fmt: skip
    books.close()
    written = write_docs(lake, "silver.texts")
    assert (written.run, written.docs.rules) == (3, 11)
    assert written.docs.left_out == ("expect_column_values_to_be_in_set on label", "rejected_share")
    (verdict,) = written.page.parent.glob("validations/**/*.html")
    said = words(verdict)
    for told in ("Evaluated Expectations 11", "Unsuccessful Expectations 3", "to 500 and less than or equal to 1000 rows. 37",
                 "must match this regular expression", "at least 99.9 % of the time"):  # fmt: skip
        assert told in said, told
    assert "zoe@example.org" not in verdict.read_text()
    files = {p.relative_to(written.page.parent).as_posix(): p.read_bytes() for p in written.page.parent.rglob("*") if p.is_file()}
    assert {o.key for o in lake.store.list("reports/docs/")} == {f"reports/docs/silver.texts/3/{name}" for name in files}
    assert all(lake.store.get(f"reports/docs/silver.texts/3/{name}") == body for name, body in files.items())
    assert sum(map(len, files.values())) < 1_500_000
    again = write_docs(lake, "silver.texts", 2)
    assert (again.run, again.docs.rules, again.uri) == (2, 9, f"{tmp_path}/lake/reports/docs/silver.texts/2/index.html")
    assert written.page.is_file()  # the docs of another run stay


def test_what_was_never_judged_has_no_docs(tmp_path: Path) -> None:
    lake = lakes.judged(tmp_path, 5, runs=2)
    with pytest.raises(SourceMissing, match="has no verdict yet"):
        write_docs(lake, "gold.log_hourly")
    with pytest.raises(SourceMissing, match="no verdict of run 7") as error:
        write_docs(lake, "silver.texts", 7)
    assert error.value.next_step.endswith("the last ones judged are 1, 2")
