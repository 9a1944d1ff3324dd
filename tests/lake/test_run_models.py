"""A model job's run ends what an earlier one began, trains once for what is new, and writes each decision once, whoever is killed.

Most tests put a training of no time in place of the real one: they are about the books. The last ones train a tiny model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from lake import ops
from lake.errors import TrainingFailed
from lake.lake import Lake
from lake.models.candidate import Candidate
from lake.models.registry import Registry
from lake.models.spec import FineTune
from lake.plan import plan
from lake.run import Intent, Outcome, load, run_row
from lake.run.models import ModelRun
from lake.settings import Settings
from lake.store import Store
from lake.table import Manifest, Table
from tests.lake.models import tiny
from tests.lake.project import write

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("train", "train", "train", "train", "validation", "test")
JOBS = {
    "gold/tiny.py": 'from lake import Job, main\nJOB = Job(writes="gold.tiny", reads=("raw.tiny",))\n',
    "models/tiny.py": '''"""Tiny: which word it is."""

from lake import Job, main
from lake.models.spec import FineTune

JOB = Job(writes="models.tiny", reads=("gold.tiny",), grain="whole", runs_on="torch")
SPEC = FineTune(base="BASE", batch=16, epochs=3, learning_rate=1e-2, dropout=0.0, precision="fp32", max_length=16, processes=1, budget_seconds=9.0)

if __name__ == "__main__":
    raise SystemExit(main(JOB, SPEC))
''',
}


class Died(BaseException):
    """The process ends here, without a word."""


@dataclass
class Trainings:
    """In place of trainings: what was asked for, and what comes of the next one."""

    accuracy: float = 0.5
    ends: BaseException | None = None
    specs: list[FineTune] = field(default_factory=list[FineTune])
    versions: list[int] = field(default_factory=list[int])
    folders: list[Path] = field(default_factory=list[Path])

    def __call__(self, spec: FineTune, manifest: Manifest, folder: Path, **_: Any) -> Candidate:
        self.specs.append(spec)
        self.versions.append(manifest.version)
        self.folders.append(folder)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        if self.ends is not None:
            ends, self.ends = self.ends, None
            raise ends
        return tiny.candidate(folder / "model", spec, manifest, accuracy=self.accuracy, weights=str(self.accuracy).encode())


@dataclass(frozen=True)
class Place:
    """A project with one model job, and a lake of it in a folder."""

    project: Path
    lake: Lake

    @property
    def registry(self) -> Registry:
        return Registry(self.lake.store)

    def rows(self, count: int) -> None:
        """A run of gold.tiny that gives it so many more rows."""
        table = Table("gold.tiny", self.lake.store)
        write_deltalake(self.lake.store.delta_uri("gold.tiny"), tiny_rows(count), mode="append")
        step, version = plan(self.project).step("gold.tiny"), table.version() or 0
        intent, outcome = Intent(version + 1, {}, False), Outcome("gold.tiny", "published", version=version)
        ops.append(self.lake.store, "runs", [run_row(step, self.lake, intent, "published", time.monotonic(), outcome)])

    def run(self, *, full: bool = False, rebuild: bool = False) -> Outcome:
        step = plan(self.project).step("models.tiny")
        return ModelRun(step, load(step), self.lake).go(full=full, rebuild=rebuild)

    def told(self) -> list[tuple[int, str, bool]]:
        """The job's events: number, status, to the end or not."""
        return [(e.run, e.status, e.full) for e in ops.events(self.lake.store, "models.tiny")]

    def decided(self) -> list[tuple[int, str, str]]:
        """Rows of ops.models, oldest first."""
        rows = sorted(ops.read(self.lake.store, "models"), key=lambda r: (r["at"], r["version"]))
        return [(r["version"], r["status"], r["reason"]) for r in rows]

    def edit(self, old: str, new: str) -> None:
        file = self.project / "jobs" / "models" / "tiny.py"
        assert old in file.read_text()
        write(file, file.read_text().replace(old, new))

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"LAKE_ROOT": self.lake.store.root, "LAKE_HOME": str(self.lake.settings.home), "PYTHONPATH": str(ROOT)} | more

    def killed_at(self, point: str, accuracy: float, *arguments: str) -> None:
        """A run in a process of its own, without a real training, that is killed -9 at a point."""
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(accuracy), *arguments], env=self.environment(LAKE_HOLD_AT=point), cwd=self.project, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said: list[str] = []
        assert child.stdout is not None
        with child.stdout:
            while not said or (said[-1] and not said[-1].startswith("holding at")):  # an empty line is the end
                said.append(child.stdout.readline())
            child.kill()
            child.wait()
        assert said[-1] == f"holding at {point}\n", "".join(said)


CHILD = """
import sys
import lake.run.models
from lake.lake import Lake
from lake.plan import plan
from lake.run import load
from tests.lake.test_run_models import Trainings

lake.run.models.train_apart = Trainings(float(sys.argv[1]))
step = plan().step("models.tiny")
with Lake.open() as place:
    lake.run.models.ModelRun(step, load(step), place).go(full="--full" in sys.argv)
"""


def tiny_rows(count: int) -> Any:
    return tiny.examples(count, SPLITS, tiny.tokenizer_sha256(tiny.base_folder(tiny.PACKAGED)))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project, and a gold.tiny without rows."""
    project = tmp_path / "project"
    write(project / "pyproject.toml", "[tool.lake]\n")
    for name, text in JOBS.items():
        write(project / "jobs" / name, text)
    monkeypatch.setenv("LAKE_PROJECT", str(project))
    settings = Settings(root=str(tmp_path / "root"), home=tmp_path / "home")  # pyright: ignore[reportCallIssue]
    made = Place(project, Lake(settings, Store(settings.root), listener=lambda *_: None))
    write_deltalake(made.lake.store.delta_uri("gold.tiny"), tiny_rows(1).slice(0, 0))
    return made


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainings]:
    stub = Trainings()
    monkeypatch.setattr("lake.run.models.train_apart", stub)
    yield stub


# -- what is begun -----------------------------------------------------------------------------------------------------


def test_an_empty_table_is_waited_for(place: Place, trainings: Trainings) -> None:
    assert place.run().sentence() == "skipped: gold.tiny has no rows yet"
    assert place.told() == []
    place.rows(6)
    assert (place.run().status, trainings.versions) == ("published", [1])
    assert (place.run().status, len(trainings.versions)) == ("nothing", 1)


def test_an_intent_on_an_empty_version_is_given_up_and_the_rows_that_came_are_trained_on(place: Place, trainings: Trainings) -> None:
    step = plan(place.project).step("models.tiny")
    intent = Intent(1, {"gold.tiny": [None, 0]}, False)
    ops.append(place.lake.store, "runs", [run_row(step, place.lake, intent, "planned", time.monotonic())])
    assert place.run().status == "skipped"
    place.rows(6)
    assert place.run().run == 2
    assert place.told() == [(1, "planned", False), (1, "nothing", False), (2, "planned", False), (2, "published", False)]
    assert trainings.versions == [1]


@pytest.mark.parametrize("then_full", [False, True])
def test_a_training_to_the_end_that_was_cut_short_goes_on_to_the_end(place: Place, trainings: Trainings, then_full: bool) -> None:
    place.rows(6)
    trainings.ends = Died()
    with pytest.raises(Died):
        place.run(full=True)
    assert place.run(full=then_full).run == 1  # the night that follows, or the same command again
    assert place.told() == [(1, "planned", True), (1, "published", True)]
    assert [s.budget_seconds for s in trainings.specs] == [None, None]
    assert trainings.folders[0] == trainings.folders[1]


def test_asked_again_to_the_end_with_newer_rows_it_takes_these(place: Place, trainings: Trainings) -> None:
    place.rows(6)
    trainings.ends = Died()
    with pytest.raises(Died):
        place.run(full=True)
    place.rows(6)
    assert place.run(full=True).run == 2
    assert trainings.versions == [1, 2]


def test_a_cut_short_run_of_an_older_spec_is_planned_anew_and_still_to_the_end(place: Place, trainings: Trainings) -> None:
    place.rows(6)
    place.run()
    trainings.ends = Died()
    with pytest.raises(Died):
        place.run(full=True)
    place.edit("epochs=3", "epochs=4")
    assert place.run().run == 3
    assert [(s.epochs, s.budget_seconds) for s in trainings.specs] == [(3, 9.0), (3, None), (4, None)]


def test_after_a_failure_the_next_run_finds_the_checkpoints_and_clears_up(place: Place, trainings: Trainings) -> None:
    place.rows(6)
    trainings.ends = TrainingFailed("rank 1 was ended by SIGKILL")
    with pytest.raises(TrainingFailed):
        place.run(full=True)
    assert place.told() == [(1, "planned", True), (1, "failed", True)]
    stale = trainings.folders[0].with_name("of an older spec")
    stale.mkdir()
    assert place.run(full=True).run == 2
    assert trainings.folders[0] == trainings.folders[1]
    assert not list((place.lake.settings.state / "training").glob("*/*"))


def test_lakes_that_share_their_local_state_share_no_training(place: Place, trainings: Trainings, tmp_path: Path) -> None:
    other = Settings(root=str(tmp_path / "other"), home=place.lake.settings.home)  # pyright: ignore[reportCallIssue]
    one, two = (ModelRun(plan().step("models.tiny"), FineTune(), lake) for lake in (place.lake, Lake(other, Store(other.root))))
    assert one.trainings != two.trainings


# -- what is told ------------------------------------------------------------------------------------------------------


def test_a_changed_spec_is_told_until_a_rebuild_trains_by_it_within_the_budget(place: Place, trainings: Trainings) -> None:
    place.rows(6)
    assert place.run().message.startswith("champion: ")
    place.edit('"""Tiny: which word it is."""', '"""Another docstring is no other spec."""')
    assert place.run() == Outcome("models.tiny", "nothing")
    place.edit("epochs=3", "epochs=4")
    assert place.run().sentence() == "nothing: trained by older code or spec; lake rebuild models.tiny"
    trainings.accuracy = 0.25
    assert place.run(rebuild=True).message.startswith("kept as candidate: not better")
    assert [(s.epochs, s.budget_seconds) for s in trainings.specs] == [(3, 9.0), (4, 9.0)]
    assert place.run() == Outcome("models.tiny", "nothing")


# -- kill -9 after the training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["decided:models.tiny", "committed:models.tiny"])
def test_killed_around_the_decision_the_books_say_it_once(place: Place, trainings: Trainings, point: str) -> None:
    place.rows(6)
    place.run()
    place.rows(6)
    place.killed_at(point, 0.75)
    champion = place.registry.champion("tiny")
    assert champion is not None and champion.version == 2
    before = len(trainings.specs)

    outcome = place.run()

    assert (outcome.run, outcome.version, len(trainings.specs)) == (2, 2, before)
    why = "test accuracy 0.7500 on 10 rows, version 1 has 0.5000 (by its card, on the test rows of gold.tiny version 1)"
    first = (1, "champion", "test accuracy 0.5000 on 10 rows")
    assert place.decided() == [first, (1, "retired", f"version 2 is better: {why}"), (2, "champion", why)]
    assert outcome.message == f"champion: {why}"
    points = [(r["version"], r["step"], r["metric"]) for r in ops.read(place.lake.store, "metrics")]
    assert sorted(points) == [(1, 1, "loss"), (1, 2, "accuracy"), (2, 1, "loss"), (2, 2, "accuracy")]
    assert place.told()[-2:] == [(2, "planned", False), (2, "published", False)]
    assert place.run().status == "nothing"


def test_killed_after_its_decision_an_older_spec_is_finished_under_its_own_code(place: Place, trainings: Trainings) -> None:
    place.rows(6)
    place.killed_at("committed:models.tiny", 0.5)
    place.edit("epochs=3", "epochs=4")
    assert place.run().run == 1
    assert place.run().message == "trained by older code or spec; lake rebuild models.tiny"
    assert place.run(full=True).run == 2
    assert len(trainings.specs) == 1


# -- a real training ---------------------------------------------------------------------------------------------------


def test_a_real_training_that_was_killed_goes_on_from_its_checkpoint(place: Place, tmp_path: Path) -> None:
    place.edit("BASE", str(tiny.tiny_base(tmp_path / "base")))
    place.edit("epochs=3", "epochs=8, patience=8")
    place.rows(240)
    job = str(place.project / "jobs" / "models" / "tiny.py")
    child = subprocess.Popen([sys.executable, job, "--full"], env=place.environment(), cwd=place.project, stdout=subprocess.DEVNULL)
    state, deadline = place.lake.settings.state / "training", time.monotonic() + 120
    while not list(state.glob("*/*/checkpoints/step-*")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert place.told() == [(1, "planned", True)]
    place.edit("8, patience=8", "8,  patience=8")  # another layout is no other spec
    said: list[str] = []
    place.lake.listener = lambda _, line: said.append(line)

    outcome = place.run()

    assert any(line.startswith("going on from step-") for line in said), "\n".join(said)
    assert (outcome.status, outcome.run) == ("published", 1)
    champion = place.registry.champion("tiny")
    assert champion is not None and champion.facts["spec"]["budget_seconds"] is None and champion.facts["steps"] == 8 * 10
    assert not list(state.glob("*/*"))
