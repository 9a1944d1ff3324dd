"""The registry: versions that are whole or not there, and one champion whatever races or dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lake.errors import Busy, SourceMissing, StoreUnreachable
from lake.models.candidate import Candidate, Figures
from lake.models.registry import Decision, Evidence, Registry
from lake.settings import Settings
from lake.store import Store
from tests.lake.models import tiny


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


def judged(accuracy: float, champion: float | None = None, version: int | None = None, macro_f1: float = 0.5) -> Evidence:
    def figures(value: float) -> Figures:
        return Figures(100, value, macro_f1 if value == accuracy else 0.5, 1.0, ((1,),), {})

    return Evidence("gold.tiny", 3, figures(accuracy), None if champion is None else figures(champion), version, "the same rows")


def test_a_version_comes_back_whole(registry: Registry, tmp_path: Path) -> None:
    assert registry.versions("intent") == [] and registry.champion("intent") is None
    made = registry.publish("intent", 4, tiny.model_folder(tmp_path / "m"))
    assert registry.versions("intent") == [4] and registry.version("intent", 4) == made
    assert made.facts["version"] == 4 and made.facts["metrics"]["test"]["accuracy"] == 0.5
    assert made.uri == registry.store.uri("models.intent") + "/4"
    folder = registry.fetched(made, tmp_path / "cache")
    assert (folder / "model.safetensors").read_bytes() == b"weights" and (folder / "card.json").is_file()
    assert registry.fetched(made, tmp_path / "cache") == folder and len(list((tmp_path / "cache").iterdir())) == 1
    assert registry.publish("intent", 4, tmp_path / "m") == made  # a repeat changes nothing


def test_a_version_is_never_written_over(registry: Registry, tmp_path: Path) -> None:
    first = registry.publish("intent", 1, tiny.model_folder(tmp_path / "one"))
    with pytest.raises(Busy, match="version 1 is there already, with other weights"):
        registry.publish("intent", 1, tiny.model_folder(tmp_path / "other", weights=b"others"))
    assert (registry.fetched(first, tmp_path / "cache") / "model.safetensors").read_bytes() == b"weights"


def test_no_card_no_version(registry: Registry, tmp_path: Path) -> None:
    folder = tiny.model_folder(tmp_path / "m")
    (folder / "card.json").unlink()
    with pytest.raises(SourceMissing, match="its training did not end"):
        registry.publish("intent", 1, folder)
    with pytest.raises(SourceMissing, match="no version 1"):
        registry.promote("intent", 1, judged(0.9))


@pytest.mark.parametrize("at", [1, 2, 3])  # before the first file, between two, before the card
def test_killed_while_publishing(registry: Registry, lake_env: Settings, tmp_path: Path, at: int) -> None:
    folder = tiny.model_folder(tmp_path / "m")
    script = tmp_path / "publish.py"
    script.write_text(
        "import os, signal, sys\nfrom lake.models.registry import Registry\nfrom lake.store import Store, open_store\n"
        "calls = 0\n"
        "def counted(stock):\n    def write(*a, **k):\n        global calls\n        calls += 1\n"
        f"        if calls == {at}: os.kill(os.getpid(), signal.SIGKILL)\n        return stock(*a, **k)\n    return write\n"
        "Store.land = counted(Store.land)\nStore.put_if_absent = counted(Store.put_if_absent)\n"
        "Registry(open_store()).publish('intent', 1, sys.argv[1])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, str(script), str(folder)], env=environment).returncode == -signal.SIGKILL
    assert registry.versions("intent") == [] and registry.champion("intent") is None
    other = tiny.model_folder(tmp_path / "other", weights=b"others")  # the next training makes other weights
    made = registry.publish("intent", 1, other)
    assert (registry.fetched(made, tmp_path / "cache") / "model.safetensors").read_bytes() == b"others"


def test_bytes_that_rotted_are_not_served(registry: Registry, tmp_path: Path) -> None:
    made = registry.publish("intent", 1, tiny.model_folder(tmp_path / "m"))
    registry.store.put(made.files[-1].key, b"rotten")
    with pytest.raises(StoreUnreachable, match="other bytes than its card says"):
        registry.fetched(made, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_better_one_becomes_champion(registry: Registry, tmp_path: Path) -> None:
    for version in (1, 2, 3, 4):
        registry.publish("intent", version, tiny.model_folder(tmp_path / str(version), weights=bytes([version])))
    first = registry.promote("intent", 1, judged(0.5))
    assert first.promoted and first.champion == 1
    worse = registry.promote("intent", 2, judged(0.4, 0.5, 1))
    assert (
        not worse.promoted
        and worse.champion == 1
        and worse.reason == "not better: test accuracy 0.4000 on 100 rows, version 1 has 0.5000 (the same rows)"
    )
    assert not registry.promote("intent", 2, judged(0.5, 0.5, 1)).promoted  # equal is not better
    assert registry.promote("intent", 3, judged(0.6, 0.5, 1)).promoted
    stale = registry.promote("intent", 4, judged(0.9, 0.5, 1))
    assert not stale.promoted and "the champion is version 3 now" in stale.reason
    champion = registry.champion("intent")
    assert champion is not None and champion.version == 3
    history = list(registry.history("intent"))
    assert [(h["n"], h["version"], h["previous"]) for h in history] == [(1, 1, None), (2, 3, 1)]
    assert history[1]["evidence"]["champion"]["accuracy"] == 0.5
    again = registry.promote("intent", 3, judged(0.6, 0.6, 3))  # whoever died after it is told the decision that stands, with its evidence
    assert again.promoted and (again.reason, again.evidence) == (history[1]["reason"], judged(0.6, 0.5, 1))
    assert not registry.promote("intent", 4, replace(judged(0.9, 0.6, 3), challenger=None)).promoted


def test_a_champion_that_nobody_can_compare_with_is_not_replaced_unseen(registry: Registry, tmp_path: Path) -> None:
    for version in (1, 2):
        registry.publish("intent", version, tiny.model_folder(tmp_path / str(version), weights=bytes([version])))
    assert registry.promote("intent", 1, judged(0.5)).promoted
    refused = registry.promote("intent", 2, judged(0.9, None, 1))
    assert not refused.promoted and refused.champion == 1
    assert refused.reason == (
        "version 1, the champion, could not be asked, and its card has no test figures; "
        "with a column `text` in gold.tiny it is asked with its own tokenizer"
    )


def test_a_champion_that_was_not_asked_counts_by_its_card_and_the_reason_says_so(registry: Registry, tmp_path: Path) -> None:
    standing = registry.publish("intent", 1, tiny.model_folder(tmp_path / "1", accuracy=0.25, table_version=8))
    made = tiny.model_folder(tmp_path / "2", weights=b"2")
    registry.publish("intent", 2, made)
    assert registry.promote("intent", 1, judged(0.25)).promoted
    decision = registry.promote("intent", 2, Evidence.of(Candidate.of(made), standing))
    assert decision.promoted and "version 1 has 0.2500 (by its card, on the test rows of gold.tiny version 8)" in decision.reason


def test_promotions_at_once_leave_one_champion(registry: Registry, tmp_path: Path) -> None:
    versions = range(1, 9)
    for version in versions:
        registry.publish("intent", version, tiny.model_folder(tmp_path / str(version), weights=bytes([version])))
    for n in range(1, 4):  # three rounds: each moves the pointer once
        standing = registry.champion("intent")
        at = standing.version if standing else None
        evidence = judged(0.5 + n / 10, None if at is None else 0.4 + n / 10, at)
        start, decisions = threading.Barrier(len(versions)), list[Decision]()

        def promote(version: int, start: threading.Barrier = start, evidence: Evidence = evidence, decisions: list[Decision] = decisions) -> None:
            start.wait()
            decisions.append(registry.promote("intent", version, evidence))

        threads = [threading.Thread(target=promote, args=(v,)) for v in versions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [d for d in decisions if d.promoted and d.version != at]
        assert len(decisions) == len(versions) and len(won) == 1
        champion = registry.champion("intent")
        assert champion is not None and champion.version == won[0].version and len(list(registry.history("intent"))) == n
        assert all("compare again" in d.reason or d.version == champion.version or d.version == at for d in decisions)


def test_importing_it_imports_no_torch() -> None:
    names = "spec, registry, launch, candidate, schedule, base, score"
    code = f"import sys\nfrom lake.models import {names}\nprint([m for m in ('torch', 'transformers', 'pyspark', 'petastorm') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
