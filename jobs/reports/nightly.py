"""The nightly page: what ran, what was refused, what the data and the model look like; a page for each table's run, one row."""

from typing import Any

from lake import Job, main, ops
from lake.lake import Lake
from lake.report.facts import read_facts
from lake.report.page import page_name, render, row, secrets_of
from lake.report.table_page import put_local, put_page, write_pages

JOB = Job(
    writes="reports.nightly",
    reads=("gold.log_hourly", "gold.sensor_hourly", "predictions.intent", "models.intent"),
    runs_on="lake",
)


def build(lake: Lake) -> list[dict[str, Any]]:
    """The pages go into the lake, the night's under its id, and beside the other local state, as latest.html too; the row tells where."""
    facts = read_facts(lake)
    name = page_name(facts)
    pages = write_pages(lake, facts.plan, ops.events(lake.store), lake.night, name)
    page = render(facts, secrets_of(lake), pages).encode()
    local = put_page(lake, name, page)
    put_local(local.with_name("latest.html"), page)
    return [row(facts, lake.store.key_uri(f"reports/pages/{name}"))]


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
