"""The nightly page: what ran, what was refused, what the data and the model look like; one HTML file, one row."""

from pathlib import Path
from typing import Any

from lake import Job, main
from lake.lake import Lake
from lake.report.facts import read_facts
from lake.report.page import page_name, render, row, secrets_of

JOB = Job(
    writes="reports.nightly",
    reads=("gold.log_hourly", "gold.sensor_hourly", "predictions.intent", "models.intent"),
    runs_on="lake",
)


def build(lake: Lake) -> list[dict[str, Any]]:
    """The page goes into the lake under the night's id, and beside the other local state as latest.html; the row tells where."""
    facts = read_facts(lake)
    page = render(facts, secrets_of(lake)).encode()
    name = page_name(facts)
    lake.store.put(f"reports/pages/{name}", page)
    for local in (name, "latest.html"):
        _write(lake.settings.state / "reports" / local, page)
    return [row(facts, lake.store.key_uri(f"reports/pages/{name}"))]


def _write(path: Path, page: bytes) -> None:
    """Whole or not at all: somebody may be looking."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_bytes(page)
    aside.replace(path)


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
