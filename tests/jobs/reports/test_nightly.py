"""The report job: a page in the lake, a copy beside the local state, a row in its table; on a lake with nothing in it too."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from lake import ops
from lake.plan import plan
from lake.settings import project_root
from lake.table import Table
from tests.lake.report import lakes


def job() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reports_nightly", project_root() / "jobs" / "reports" / "nightly.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_night_leaves_its_page_and_its_row(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    rows = job().build(lake)
    page = lake.store.get(f"reports/pages/{lakes.NIGHT}.html")
    assert page is not None and page.startswith(b"<!doctype html>")
    reports = lake.settings.state / "reports"
    assert sorted(p.name for p in reports.iterdir()) == [f"{lakes.NIGHT}.html", "latest.html", "tables"]
    assert (reports / "latest.html").read_bytes() == page
    ops.append_to(lake.store, "reports.nightly", rows)
    (row,) = Table("reports.nightly", lake.store).delta().to_pyarrow_table().to_pylist()
    assert (row["night"], row["mood"], row["page"]) == (lakes.NIGHT, "well", f"{tmp_path}/lake/reports/pages/{lakes.NIGHT}.html")


def test_the_page_leads_to_each_tables_page_and_back(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    job().build(lake)
    reports = lake.settings.state / "reports"
    links = set(re.findall(r'href="(tables/[^"]+)"', (reports / "latest.html").read_text()))
    tables = {s.job.writes for s in plan().steps if s.job.writes.split(".")[0] in ("bronze", "silver", "gold", "predictions")}
    assert links == {f"tables/{address}/1.html" for address in tables}
    for link in links:
        page = reports / link
        assert page.read_bytes() == lake.store.get(f"reports/pages/{link}")
        around = [reports / page.parent / target for target in re.findall(r'href="((?:\.\./)[^"]+)"', page.read_text())]
        assert around and all(target.resolve().is_file() for target in around)
        assert (reports / f"{lakes.NIGHT}.html").resolve() in {target.resolve() for target in around}


def test_the_second_night_leaves_the_pages_of_tables_as_they_are(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    job().build(lake)
    before = {o.key: (o.etag, o.modified) for o in lake.store.list("reports/pages/tables/")}
    lake.night = "2026-03-13T031500Z"
    job().build(lake)
    assert {o.key: (o.etag, o.modified) for o in lake.store.list("reports/pages/tables/")} == before
    assert 'href="tables/silver.texts/1.html"' in (lake.settings.state / "reports" / "latest.html").read_text()


def test_the_second_night_tells_that_nothing_changed(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    lake.night = "2026-03-13T031500Z"
    (row,) = job().build(lake)
    others = sum(not step.job.writes.startswith("reports.") for step in plan().steps)
    assert (row["mood"], row["published"], row["unchanged"]) == ("quiet", 0, others)
    assert row["headline"] == f"Nothing new tonight: all {others} tables stand as before."
    assert row["model_version"] == 1


def test_a_lake_with_nothing_in_it(tmp_path: Path) -> None:
    (row,) = job().build(lakes.lake_in(tmp_path))
    assert (row["mood"], row["model"], row["predictions"]) == ("quiet", None, None)
