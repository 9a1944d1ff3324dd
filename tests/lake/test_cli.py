"""The command `lake`: what it prints, and the exit code it ends with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake import cli, doctor, night, ops
from lake import run as run_package
from lake.doctor import Finding
from lake.errors import BatchRefused, SettingsWrong, SourceMissing, StoreUnreachable
from lake.night import Night
from lake.run import Outcome
from lake.settings import Settings
from lake.store import Store
from tests.lake.project import write, write_project

Lake = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(folder))
    monkeypatch.setenv("COLUMNS", "200")
    return folder


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lake:
    """The command as a shell runs it: exit code, output, errors."""

    def typed(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lake", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return typed


def test_bare_lake_says_what_there_is(lake: Lake) -> None:
    _, out, err = lake()
    for command in (
        "plan",
        "run",
        "rebuild",
        "nightly",
        "demo",
        "sql",
        "show",
        "rejects",
        "models",
        "trace",
        "restore",
        "doctor",
        "up",
        "down",
        "land",
    ):
        assert f" {command} " in out + err
    assert lake("--help")[0] == 0


def test_the_plan_is_printed_whole_in_a_narrow_window(project: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = lake("plan")
    rows = [line.split()[:3] for line in out.splitlines() if line[:1].isdigit()]
    assert (code, rows) == (
        0,
        [["1", "bronze.readings", "rows"], ["2", "silver.readings", "rows"], ["3", "gold.daily", "slice,"], ["4", "gold.totals", "whole"]],
    )


def test_the_picture_keeps_its_lines(project: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "  raw_readings --> bronze_readings\n" in lake("plan", "--mermaid")[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "gold.dayly"), 65, "lake: no job writes gold.dayly\n  next: perhaps gold.daily"),
        (("show", "gold.none"), 65, "lake: gold.none has no contract"),
        (("sql", "select * from gold.daily"), 66, "lake: gold.daily is not there yet"),
        (("show", "gold.[x]"), 65, "lake: 'gold.[x]' is no address"),
        (("trace", "gold.daily", "north"), 66, "lake: gold.daily is not there yet"),
        (("restore", "gold.daily", "--to", "3"), 66, "has no earlier version 3"),
        (("land", "--from", "/none/such"), 66, "/none/such is no folder"),
        (("land",), 2, "give a SOURCE with FILES, or --from FOLDER"),
        (("land", "readings"), 2, "give a SOURCE with FILES, or --from FOLDER"),
        (("land", "readings", "a.csv", "--from", "pack"), 2, "give a SOURCE with FILES, or --from FOLDER"),
        (("rejects", "gold.daily", "--by", "moon"), 2, "--by moon: rule, source or day"),
        (("rejects", "show", "gold.none"), 65, "gold.none has no contract"),
        (("rejects", "waive", "gold.daily", "--by", "ada", "--because", "x"), 2, "say which: --reason, --file, --day, --id, or --every"),
        (("rejects", "waive", "gold.daily", "--by", "ada", "--because", "x", "--every"), 66, "gold.daily has no reject that is open"),
        (("rejects", "repair", "gold.daily", "--by", "ada", "--because", "x"), 2, "either --from FILE or --set"),
        (("rejects", "repair", "gold.daily", "--by", "ada", "--because", "x", "--from", "no.csv"), 66, "no.csv is not there"),
        (("rejects", "repair", "gold.daily", "--by", "ada", "--because", "x", "--from", "x.csv", "--id", "f"), 2, "--from FILE says which rows"),
        (("rejects", "reopen", "gold.daily", "--because", "x"), 2, "Missing option '--by'"),
        (("fly",), 2, "No such command 'fly'"),
    ],
)
def test_what_goes_wrong_is_told_on_stderr_with_its_own_exit_code(
    project: Path, lake_env: Settings, lake: Lake, words: tuple[str, ...], code: int, told: str
) -> None:
    ended, out, err = lake(*words)
    assert (ended, told in err, out) == (code, True, "")


def test_files_land_and_are_asked_for_as_tables_would_be(project: Path, lake_env: Settings, lake: Lake, tmp_path: Path) -> None:
    file = write(tmp_path / "in" / "a.csv", "1,2\n")
    assert lake("land", "readings", str(file))[:2] == (0, "readings                   1 files landed, 0.00 MB; 0 lay there already\n")
    write(tmp_path / "pack" / "readings" / "a.csv", "1,2\n")
    assert lake("land", "--from", str(tmp_path / "pack"))[1].endswith("0 files landed, 0.00 MB; 1 lay there already\n")


def test_rows_come_as_a_table_or_as_json(project: Path, store: Store, lake: Lake) -> None:
    row = {"address": "gold.daily", "run": 1, "status": "failed", "at": ops.now(), "inputs": "{}", "full": False, "code": "c", "contract": "k"}
    ops.append(store, "runs", [row | {"run": n, "message": "[/] 温"} for n in (1, 2, 3)])
    _, out, _ = lake("sql", "select run, message from ops.runs order by run", "--rows", "2")
    assert [line.split() for line in out.splitlines()] == [
        ["run", "message"],
        ["1", "[/]", "温"],
        ["2", "[/]", "温"],
        ["...", "1", "more", "rows;", "--rows", "N", "shows", "them"],
    ]
    code, out, _ = lake("sql", "select run, message from ops.runs where run = 1", "--json")
    assert (code, json.loads(out)) == (0, {"run": 1, "message": "[/] 温"})


@pytest.mark.parametrize(
    ("words", "told"),
    [(("show", "gold.daily"), "not there yet: lake run gold.daily"), (("rejects",), "nothing was rejected"), (("models",), "no model yet")],
)
def test_an_empty_lake_can_be_looked_at(project: Path, lake_env: Settings, lake: Lake, words: tuple[str, ...], told: str) -> None:
    code, out, _ = lake(*words)
    assert (code, told in out) == (0, True)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Runs without Spark: each is written down, and gold.daily is refused."""
    seen: list[tuple[str, str]] = []

    def run(step: Any, build: Any, lake: Any, *, full: bool = False, rebuild: bool = False, again: Any = None) -> Outcome:
        seen.append((step.job.writes, "full" if full else "rebuild" if rebuild else repr(again) if again else ""))
        if step.job.writes == "gold.daily":
            return Outcome(step.job.writes, "refused", message="too few rows", error=BatchRefused("too few rows", next_step="look at [it]"))
        return Outcome(step.job.writes, "published", 1, 0, rows_kept=3)

    monkeypatch.setattr(run_package, "run", run)
    monkeypatch.setattr(run_package, "load", lambda step: None)
    return seen


@pytest.mark.parametrize(
    ("words", "steps", "code"),
    [
        (("run", "silver.readings"), [("silver.readings", "")], 0),
        (("run", "silver.readings", "--full"), [("silver.readings", "full")], 0),
        (("run", "silver.readings", "bronze.readings"), [("bronze.readings", ""), ("silver.readings", "")], 0),
        (("run", "gold.daily"), [("gold.daily", "")], 70),
        (("rebuild", "silver.readings"), [("silver.readings", "rebuild")], 0),
        (
            ("rebuild", "bronze.readings", "--downstream"),
            [("bronze.readings", "rebuild"), ("silver.readings", "rebuild"), ("gold.daily", "rebuild")],
            70,
        ),
    ],
)
def test_what_is_run_and_when_it_stops(
    project: Path, lake_env: Settings, lake: Lake, ran: list[tuple[str, str]], words: tuple[str, ...], steps: list[tuple[str, str]], code: int
) -> None:
    ended, out, err = lake(*words)
    assert (ended, ran) == (code, steps)
    assert ("too few rows\n  next: look at [it]" in err) is bool(code)
    assert out.count("published run 1 as version 0: 3 rows") == len([s for s in steps if s[0] != "gold.daily"])


def test_slices_are_built_again_by_name_and_only_where_there_are_any(
    project: Path, lake_env: Settings, lake: Lake, ran: list[tuple[str, str]]
) -> None:
    lake("backfill", "gold.daily", "--from", "2026-03-01", "--to", "2026-03-31")
    assert ran == [("gold.daily", "Again(files=frozenset(), slices=('2026-03-01', '2026-03-31'))")]
    code, _, err = lake("backfill", "silver.readings")
    assert code == SettingsWrong.exit_code
    assert "not built by slices, but by rows" in err and "lake rebuild silver.readings" in err


def test_files_are_replayed_by_their_source(project: Path, lake_env: Settings, lake: Lake, store: Store, ran: list[tuple[str, str]]) -> None:
    assert lake("replay", "readings")[0] == SourceMissing.exit_code
    row = {
        "source": "raw.readings",
        "edition": 1,
        "size": 1,
        "etag": "1",
        "sha256": "",
        "modified": ops.now(),
        "status": "read",
        "run": 1,
        "at": ops.now(),
    }
    ops.append(store, "files", [row | {"path": path, "address": "bronze.readings"} for path in ("a.csv", "b.csv")])
    lake("replay", "readings", "--files", "b*", "--downstream")
    assert ran[0] == ("bronze.readings", "Again(files=frozenset({'b.csv'}), slices=None)")
    assert ran[1:] == [("silver.readings", ""), ("gold.daily", "")]
    code, _, err = lake("replay", "reading")
    assert code == SettingsWrong.exit_code
    assert "no job reads raw.reading" in err and "sources are readings" in err


def test_reports_are_made_again_only_when_they_are_named(project: Path, lake_env: Settings, lake: Lake, ran: list[tuple[str, str]]) -> None:
    write(
        project / "jobs" / "reports" / "page.py", 'from lake import Job\nJOB = Job(writes="reports.page", reads=("gold.totals",), runs_on="lake")\n'
    )
    lake("rebuild", "gold.totals", "--downstream")
    assert ran == [("gold.totals", "rebuild")]
    lake("rebuild", "reports.page")
    assert ran[1:] == [("reports.page", "rebuild")]


def test_a_night_ends_with_its_table_and_its_exit_code(project: Path, lake_env: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Outcome("gold.daily", "refused", error=BatchRefused("too few [rows]"))
    monkeypatch.setattr(night, "nightly", lambda lake: Night("tonight", (Outcome("silver.readings", "nothing"), refused), ()))
    code, out, _ = lake("nightly")
    assert (code, "night tonight: 1 had nothing new, 1 refused" in out, "too few [rows]" in out) == (70, True, True)


@pytest.mark.parametrize(("named", "root"), [(False, "s3a://lake"), (True, "s3a://lake/my-pack-raw")])
def test_a_demo_on_another_pack_has_a_root_of_its_own(
    project: Path, lake: Lake, store_home: Path, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, root: str
) -> None:
    folder = tmp_path / "my-pack" / "raw" if named else project / "samples" / "raw"
    write(folder / "readings" / f"{tmp_path.name}.csv", "1,2\n")
    for name, value in {"LAKE_HOME": str(store_home), "LAKE_SAMPLES": str(folder) if named else "", "LAKE_ROOT": "to be taken away again"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LAKE_ROOT")
    roots: list[str] = []
    monkeypatch.setattr(night, "nightly", lambda lake: Night(roots.append(lake.store.root) or "tonight", (), ()))
    code, out, _ = lake("demo")
    assert (code, roots) == (0, [root])
    assert "1 files landed" in out
    assert (f"LAKE_ROOT={root} .venv/bin/lake sql" in out) is named
    os.environ.pop("LAKE_ROOT", None)


def test_the_doctor_ends_well_only_when_all_is_well(lake: Lake, lake_env: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("Java 17", True), Finding("no pyproject.toml with a [tool.lake] table", False, "make [set-up]")]
    monkeypatch.setattr(doctor, "findings", lambda: found)
    assert lake("doctor")[:2] == (1, "ok   Java 17\nno   no pyproject.toml with a [tool.lake] table\n       next: make [set-up]\n")
    found.pop()
    assert lake("doctor")[0] == 0


def test_the_server_is_started_once_and_stopped_once(lake: Lake, server: Any, store_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_HOME", str(store_home))
    assert lake("up")[1].startswith(f"already up: {server.endpoint}")
    monkeypatch.setattr("lake.server.down", lambda settings: False)
    assert lake("down")[:2] == (0, "was not up\n")


def test_a_store_that_does_not_answer_has_its_own_exit_code(lake: Lake, lake_env: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: Settings) -> Store:
        raise StoreUnreachable("no answer", next_step="lake up")

    monkeypatch.setattr("lake.lake.open_store", refuse)
    assert lake("rejects") == (69, "", "lake: no answer\n  next: lake up\n")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30))
def test_any_text_comes_through_json_unharmed(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "root"))
    code, out, _ = lake("sql", "select '{}' as text".format(text.replace("'", "''")), "--json")
    assert (code, json.loads(out)) == (0, {"text": text})
