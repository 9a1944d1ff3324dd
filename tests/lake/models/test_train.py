"""Training: the same function alone, under torchrun and under Spark, whole again after a kill, and repeatable."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lake.errors import ContractBroken, TrainingFailed
from lake.models import checkpoint as checkpoints
from lake.models.candidate import Candidate, figures, macro_f1
from lake.models.launch import by_gpus, train_apart
from lake.models.spec import FineTune
from lake.models.train import fine_tune
from lake.table import Manifest
from tests.lake.models import tiny

SPLITS = ("train", "train", "train", "train", "train", "train", "validation", "test")


@pytest.fixture(scope="module")
def spec(base: Path) -> FineTune:
    """A training of seconds that leaves nothing to chance."""
    return FineTune(
        base=str(base), batch=16, epochs=4, learning_rate=1e-2, dropout=0.0, precision="fp32", max_length=tiny.LENGTH, processes=2, patience=9
    )


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return tiny.table(tmp_path_factory.mktemp("table"), 320, group=70, splits=SPLITS)


@pytest.fixture(scope="module")
def alone(spec: FineTune, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """The training of `spec` in this very process."""
    made = fine_tune(spec, manifest, tmp_path_factory.mktemp("alone"))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def by_torchrun(spec: FineTune, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Candidate, list[str]]:
    lines: list[str] = []
    temporary = tmp_path_factory.mktemp("temporary")
    made = train_apart(spec, manifest, tmp_path_factory.mktemp("torchrun"), say=lines.append, environment={"TMPDIR": str(temporary)})
    assert list(temporary.iterdir()) == [], "a training left something in the temporary folder"
    return made, lines


def test_learns_and_says_what_it_is_worth(alone: Candidate) -> None:
    assert alone.test is not None and alone.validation is not None
    assert alone.test.accuracy > 0.9 and alone.test.macro_f1 > 0.9
    assert (alone.test.rows, alone.validation.rows, alone.steps, alone.epochs, alone.stopped) == (40, 40, 60, 4.0, "finished")
    assert sum(map(sum, alone.test.confusion)) == 40 and alone.labels == ("card", "cash", "money")
    by_language = alone.test.slices["language"]
    assert set(by_language) == {"en", "zh"}
    assert sum(s["rows"] for s in by_language.values()) == 40
    assert {(p.split, p.metric) for p in alone.curves} >= {("train", "loss"), ("validation", "accuracy"), ("test", "macro_f1")}
    losses = [p.value for p in alone.curves if p.split == "train"]
    assert losses[-1] < losses[0] / 2
    assert Candidate.of(Path(alone.folder)) == alone
    assert sorted(p.name for p in Path(alone.folder).iterdir()) == ["card.json", "config.json", "model.safetensors", "tokenizer.json"]


def test_processes_are_as_many_as_gpus_where_there_are_some(capfd: pytest.CaptureFixture[str]) -> None:
    assert [by_gpus(2, gpus) for gpus in (0, 2, 8)] == [2, 2, 2] and capfd.readouterr().out == ""
    assert by_gpus(2, 1) == 1
    assert capfd.readouterr().out == "2 processes are asked for, this machine has 1 GPU: training with 1\n"


def test_torchrun_with_two_processes(by_torchrun: tuple[Candidate, list[str]], spec: FineTune) -> None:
    made, lines = by_torchrun
    assert made.processes == 2 and made.test is not None and made.test.accuracy > 0.9
    assert any("240 train, 40 validation, 40 test rows" in line for line in lines)
    assert any(line.startswith("step 60/60") for line in lines)
    assert not any("Traceback" in line or "Warning" in line for line in lines), lines
    assert made.spec == spec and made.libraries["petastorm"] == "0.13.1"


def test_two_ranks_lose_as_much_as_one(spec: FineTune, manifest: Manifest, tmp_path: Path) -> None:
    # All 240 rows in one batch: whichever rank has which, a step is the same sum
    whole = replace(spec, batch=240, epochs=6, learning_rate=3e-3)
    one = fine_tune(whole, manifest, tmp_path / "one")
    two = train_apart(whole, manifest, tmp_path / "two", say=lambda _: None)
    assert one is not None and one.validation is not None and two.validation is not None
    assert [p.step for p in one.curves if p.metric == "loss"] == [p.step for p in two.curves if p.metric == "loss"]
    for a, b in zip(one.curves, two.curves, strict=True):
        assert a.value == pytest.approx(b.value, abs=2e-5), (a, b)
    assert tiny.farthest(one.folder, two.folder) < 1e-4  # fp32 sums in another order, six AdamW steps of 3e-3


def test_spark_runs_the_same_function(
    by_torchrun: tuple[Candidate, list[str]], spec: FineTune, manifest: Manifest, tmp_path: Path, store_home: Path
) -> None:
    # In a process of its own, so the suite's Spark may run beside it; a folder root needs no server
    environment = {"LAKE_ROOT": str(tmp_path / "root"), "LAKE_HOME": str(store_home), "LAKE_MASTER": "local[2]", "LAKE_DRIVER_MEMORY": "1g"}
    lines: list[str] = []
    made = train_apart(spec, manifest, tmp_path / "out", launcher="spark", say=lines.append, environment=environment)
    assert made.processes == 2
    assert tiny.farthest(made.folder, by_torchrun[0].folder) == 0.0
    assert made.test == by_torchrun[0].test


def test_the_same_spec_makes_the_same_model(spec: FineTune, manifest: Manifest, alone: Candidate, tmp_path: Path) -> None:
    again = fine_tune(spec, manifest, tmp_path)
    assert again is not None and tiny.farthest(again.folder, alone.folder) == 0.0


def test_a_budget_is_kept_and_its_plan_makes_the_model_again(spec: FineTune, manifest: Manifest, tmp_path: Path) -> None:
    many = replace(spec, epochs=5000, dropout=0.1)
    began = time.time()
    cut = fine_tune(replace(many, budget_seconds=14.0), manifest, tmp_path / "cut")
    assert cut is not None and time.time() - began < 30
    assert 10 < cut.steps < 5000 * 15 and cut.steps == cut.plan[-1][1]
    again = fine_tune(replace(many, plan=cut.plan), manifest, tmp_path / "again")
    assert again is not None and again.steps == cut.steps and tiny.farthest(again.folder, cut.folder) == 0.0


def test_stops_early_and_keeps_the_best(spec: FineTune, manifest: Manifest, tmp_path: Path) -> None:
    made = fine_tune(replace(spec, epochs=40, patience=2), manifest, tmp_path)
    assert made is not None and made.stopped == "early" and made.epochs < 40
    accuracies = [p.value for p in made.curves if (p.split, p.metric) == ("validation", "accuracy")]
    assert made.validation is not None and made.validation.accuracy == max(accuracies)


def test_a_killed_training_goes_on(spec: FineTune, manifest: Manifest, tmp_path: Path) -> None:
    long = replace(spec, epochs=12, dropout=0.1, checkpoint_steps=7)
    whole = train_apart(long, manifest, tmp_path / "whole", say=lambda _: None)
    out = tmp_path / "killed"
    request = tmp_path / "ask.py"
    request.write_text(
        "import sys\nfrom pathlib import Path\nfrom lake.models.launch import train_apart\nfrom lake.models.spec import FineTune\n"
        "from lake.table import Manifest\nif __name__ == '__main__':\n"
        "    train_apart(FineTune.from_json(sys.argv[1]), Manifest.from_json(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    driver = subprocess.Popen(
        [sys.executable, str(request), long.to_json(), manifest.to_json(), str(out)], env=environment, stdout=subprocess.DEVNULL
    )
    deadline = time.time() + 120
    while not [p for p in out.glob("checkpoints/step-*") if int(p.name[5:]) >= 20] and time.time() < deadline:
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)  # the driver alone: its ranks must notice
    driver.wait()
    while _ranks_of(out) and time.time() < deadline:
        time.sleep(0.1)
    assert not _ranks_of(out), "ranks outlived their driver"
    assert not (out / "model").exists() and list(out.glob("checkpoints/step-*")), "the kill came too late"
    lines: list[str] = []
    rest = train_apart(long, manifest, out, say=lines.append)
    assert any(line.startswith("going on from step-") for line in lines)
    assert rest.steps == whole.steps and tiny.farthest(rest.folder, whole.folder) == 0.0
    assert not (out / "checkpoints").exists()
    train_apart(long, manifest, out, say=lines.append)
    assert lines[-1] == "it was trained to the end before: nothing is left to do"


def _ranks_of(out: Path) -> list[int]:
    """Process ids that train for this folder."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes()
        except OSError:
            continue
        if b"lake.models.train" in command and str(out / "request.json").encode() in command and b"distributed.run" not in command:
            found.append(int(place.parent.name))
    return found


def test_a_rank_that_dies_is_named(spec: FineTune, manifest: Manifest, tmp_path: Path) -> None:
    def kill_one() -> None:
        deadline = time.time() + 120
        while time.time() < deadline:
            for pid in _ranks_of(tmp_path):
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if b"RANK=1" in environment and list(tmp_path.glob("checkpoints/step-*")):
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.02)

    threading.Thread(target=kill_one, daemon=True).start()
    with pytest.raises(TrainingFailed, match=r"rank 1 was ended by SIGKILL"):
        train_apart(replace(spec, epochs=400, checkpoint_steps=5), manifest, tmp_path, say=lambda _: None)


def test_a_rank_that_breaks_down_after_the_card_was_written_takes_nothing_from_the_model(
    spec: FineTune, manifest: Manifest, alone: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(whole: bool) -> Callable[..., list[str]]:
        def run(*_: object) -> list[str]:
            if whole:
                shutil.copytree(alone.folder, tmp_path / "model")
            return ["terminate called without an active exception", "  rank      : 1 (local_rank: 1)", "  exitcode  : -6 (pid: 1)"]

        return run

    said: list[str] = []
    monkeypatch.setattr("lake.models.launch._run", broken(whole=False))
    with pytest.raises(TrainingFailed, match="terminate called"):
        train_apart(spec, manifest, tmp_path, say=said.append)
    monkeypatch.setattr("lake.models.launch._run", broken(whole=True))
    assert train_apart(spec, manifest, tmp_path, say=said.append).test == alone.test
    assert said == ["the model is whole, though a rank broke down after it had done its part"]


def test_the_error_of_a_rank_is_on_top(spec: FineTune, manifest: Manifest, tmp_path: Path) -> None:
    short = replace(manifest, files=tuple(replace(f, rows=f.rows + 1) for f in manifest.files))
    with pytest.raises(TrainingFailed, match=r"rank \d: .* has 320 rows, its manifest says 321"):
        train_apart(spec, short, tmp_path / "short", say=lambda _: None)
    with pytest.raises(ContractBroken, match="no column dialect"):
        train_apart(replace(spec, slices=("dialect",)), manifest, tmp_path / "contract", launcher="alone", say=lambda _: None)


def test_ids_of_another_tokenizer_are_refused(spec: FineTune, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="were made by tokenizer abcabc"):
        fine_tune(spec, tiny.table(tmp_path / "table", 32, splits=SPLITS, tokenizer="abcabc"), tmp_path / "out")


def test_one_row_and_fewer_groups_than_ranks(spec: FineTune, tmp_path: Path) -> None:
    few = tiny.table(tmp_path / "table", 5, splits=("train", "train", "test"))
    made = train_apart(replace(spec, epochs=2), few, tmp_path / "out", say=lambda _: None)
    assert made.validation is None and made.test is not None and made.test.rows == 1 and made.steps == 2


def test_the_champion_is_asked_on_the_same_rows(spec: FineTune, manifest: Manifest, alone: Candidate, tmp_path: Path) -> None:
    made = fine_tune(replace(spec, plan=((0, 1),)), manifest, tmp_path, champion=Path(alone.folder))
    assert made is not None and made.test is not None and made.champion is not None and alone.test is not None
    assert (made.champion.accuracy, made.champion.confusion) == (alone.test.accuracy, alone.test.confusion)
    assert made.test.accuracy < made.champion.accuracy


def test_a_champion_with_another_tokenizer_is_asked_by_the_text_of_the_same_rows(
    spec: FineTune, manifest: Manifest, alone: Candidate, tmp_path: Path
) -> None:
    other = shutil.copytree(alone.folder, tmp_path / "other")
    tokenizer = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(tokenizer + " ")
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"tokenizer_sha256": "another", "labels": ["cash", "money", "cheque"]}))
    short = replace(spec, plan=((0, 1),))
    made = fine_tune(short, manifest, tmp_path / "asked", champion=other)
    assert made is not None and made.champion is not None and made.test is not None and alone.test is not None
    assert made.champion.rows == alone.test.rows == 40 and math.isnan(made.champion.loss)
    told = np.array(made.champion.confusion).sum(axis=0)
    assert told[1] and told[2] and made.champion.accuracy < alone.test.accuracy  # its labels by their names: it knows no 'card' by its number

    blind = replace(manifest, schema=manifest.schema.remove(manifest.schema.get_field_index("text")))
    made = fine_tune(short, blind, tmp_path / "not asked", champion=other)
    assert made is not None and made.champion is None


def test_a_checkpoint_that_lost_bytes_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    first, last = (checkpoints.save(tmp_path, model, optimizer, {"step": step, "fingerprint": "ours"}) for step in (1, 2))
    assert checkpoints.newest(tmp_path, "another") is None
    assert (checkpoints.newest(tmp_path, "ours") or ("", {}))[0] == last
    os.truncate(last / "model.safetensors", 100)
    assert (checkpoints.newest(tmp_path, "ours") or ("", {}))[0] == first
    (first / "state.json").write_text("")
    assert checkpoints.newest(tmp_path, "ours") is None


def test_macro_f1_is_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    draw = np.random.default_rng(0)
    for _ in range(20):
        truth, said = draw.integers(0, 5, 30), draw.integers(0, 6, 30)
        assert macro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="macro", zero_division=0))
    none = figures(np.array([0, 1, 1]), np.array([0, -1, 1]), 2, math.nan, {"language": np.array(["en", "zh", "zh"])})
    assert none.confusion == ((1, 0), (0, 1)) and none.accuracy == pytest.approx(2 / 3)
    assert none.slices["language"]["zh"] == {"rows": 2, "accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
