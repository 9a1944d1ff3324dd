"""Plan: JOBs read out of files that are never run; inputs first, what can't work refused by name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.plan import code_hash, plan, read_step
from tests.lake.project import write, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(folder))
    return folder


def job(project: Path, address: str, *reads: str, text: str | None = None) -> Path:
    written = text if text is not None else f'from lake import Job\nJOB = Job(writes="{address}", reads={reads!r})\n'
    return write(project / "jobs" / f"{address.replace('.', '/')}.py", written)


def test_inputs_come_first_and_ties_go_by_zone_and_name(project: Path) -> None:
    job(project, "gold.also", "bronze.readings")
    assert [s.job.writes for s in plan().steps] == ["bronze.readings", "silver.readings", "gold.also", "gold.daily", "gold.totals"]
    assert plan().raw() == ["raw.readings"]
    assert plan(project).by_address["gold.daily"].about == "Gold daily: the total of each station and day, and its rise over the day before."


def test_a_plan_runs_no_job_file(project: Path) -> None:
    job(project, "silver.bomb", text='raise SystemExit("was run")\nfrom lake import Job\nJOB = Job(writes="silver.bomb", reads=("raw.readings",))\n')
    assert "silver.bomb" in plan().by_address


@pytest.mark.parametrize(
    ("address", "after"),
    [
        ("raw.readings", ["bronze.readings", "silver.readings", "gold.daily", "gold.totals"]),
        ("silver.readings", ["gold.daily", "gold.totals"]),
        ("gold.daily", []),
    ],
)
def test_downstream_is_near_and_far(project: Path, address: str, after: list[str]) -> None:
    assert plan().downstream(address) == after


def test_an_unknown_address_is_answered_with_the_nearest_ones(project: Path) -> None:
    with pytest.raises(ContractBroken, match=r"no job writes gold\.dayly") as caught:
        plan().step("gold.dayly")
    assert caught.value.next_step.startswith("perhaps gold.daily")


@pytest.mark.parametrize(
    "text",
    [
        'from lake import Job\nJOB = Job(writes="gold.own", reads=("raw.readings",), grain="whole")\n',
        'from lake import Job\nJOB: Job = Job("gold.own", ("raw.readings",), grain="whole")\n',
        'import lake\n\nJOB = lake.Job(\n    reads=["raw." "readings"],  # a comment\n    writes="gold.own",\n    grain="whole",\n)\n',
    ],
)
def test_a_job_may_be_declared_in_any_literal_form(project: Path, text: str) -> None:
    step = read_step(job(project, "gold.own", text=text))
    assert step is not None
    assert (step.job.writes, tuple(step.job.reads), step.job.grain) == ("gold.own", ("raw.readings",), "whole")


@pytest.mark.parametrize(
    ("address", "text", "told"),
    [
        ("gold.own", 'JOB = Job(writes=NAME, reads=("raw.readings",))', r"own\.py:1: JOB must be a literal"),
        ("gold.own", "JOB = Job(**FACTS)", r"own\.py:1: JOB must be a literal"),
        ("gold.own", "\nJOB = made", r"own\.py:2: JOB must be a literal"),
        ("gold.own", 'JOB = Job(writes="gold.own")', r"own\.py:1: .*missing 1 required positional argument: 'reads'"),
        ("gold.own", 'JOB = Job(writes="gold.own", reads=("raw.readings",), grains="rows")', r"own\.py:1: .*grains"),
        ("gold.own", 'JOB = Job(writes="gold.own", reads=("raw.readings",), grain="row")', r"own\.py:1: gold\.own: grain 'row' is unknown"),
        ("gold.own", 'JOB = Job(writes="gold.other", reads=("raw.readings",))', r"own\.py writes gold\.other, but its place says gold\.own"),
        ("gold.own", 'JOB = Job(writes="gold.own", reads=("silver.none",))', r"own\.py reads silver\.none, which no job writes"),
        ("gold.own", 'JOB = Job(writes="gold.own", reads=("gold.own",))', r"runs in a circle: gold\.own -> gold\.own"),
        ("gold.own", "JOB = Job(", r"own\.py:1: '\(' was never closed"),
        ("gold.own", '"""Only words."""', r"own\.py declares no JOB"),
        ("gold.json", 'JOB = Job(writes="gold.json", reads=("raw.readings",))', "named like Python's own module 'json'"),
    ],
)
def test_a_job_that_can_not_work_is_refused_with_its_place(project: Path, address: str, text: str, told: str) -> None:
    job(project, address, text=text)
    with pytest.raises(ContractBroken, match=told) as caught:
        plan()
    assert caught.value.next_step


def test_a_circle_is_drawn(project: Path) -> None:
    job(project, "gold.a", "gold.b")
    job(project, "gold.b", "gold.a")
    with pytest.raises(ContractBroken, match=r"circle: (gold\.a -> gold\.b -> gold\.a|gold\.b -> gold\.a -> gold\.b)\n"):
        plan()


def test_a_script_that_writes_no_address_is_no_step(project: Path) -> None:
    write(project / "jobs" / "upkeep" / "tables.py", "print('tidy')\n")
    write(project / "jobs" / "gold" / "_shared.py", "LIMIT = 3\n")
    assert len(plan().steps) == 4


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ('"""Other words."""\n# and a comment\ndef f(x):\n    """Says more."""\n    return (x +\n            1)\n', True),
        ("class A:\n    '''Nothing.'''\n", False),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(y):\n    return y + 1\n", False),
    ],
)
def test_the_code_hash_sees_what_a_file_does_and_not_its_words(tmp_path: Path, other: str, same: bool) -> None:
    a, b = write(tmp_path / "a.py", '"""Words."""\ndef f(x):\n    return x + 1\n'), write(tmp_path / "b.py", other)
    assert (code_hash(a) == code_hash(b)) is same


def test_the_picture_names_every_address_and_arrow(project: Path) -> None:
    lines = plan().mermaid().splitlines()
    assert lines[0] == "graph LR"
    assert lines[1:4] == ["  subgraph raw", "    raw_readings[readings]", "  end"]
    assert lines[-4:] == [
        "  raw_readings --> bronze_readings",
        "  bronze_readings --> silver_readings",
        "  silver_readings --> gold_daily",
        "  silver_readings --> gold_totals",
    ]


@st.composite
def flows(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Addresses with what each reads, without a circle, in any zones."""
    zones = draw(st.lists(st.sampled_from(["bronze", "silver", "gold", "predictions", "reports"]), min_size=1, max_size=7))
    names = [f"{zone}.t{draw(st.integers(0, 9))}_{n}" for n, zone in enumerate(zones)]
    return {name: tuple(sorted(draw(st.sets(st.sampled_from(["raw.files", *names[:n]]), max_size=3)))) for n, name in enumerate(names)}


@settings(max_examples=30, deadline=None)
@given(flows())
def test_every_job_stands_once_and_after_all_that_it_reads(flow: dict[str, tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for address, reads in flow.items():
            job(Path(folder), address, *reads)
        order = [step.job.writes for step in plan(Path(folder)).steps]
    assert sorted(order) == sorted(flow)
    assert all(order.index(read) < order.index(address) for address, reads in flow.items() for read in reads if read in flow)
