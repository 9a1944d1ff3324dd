"""The main job on real raw files: the counts of their manifest hold in the tables, as delta-rs reads them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pyarrow.compute as pc
import pytest

from lake.models.registry import Registry
from lake.server import Server
from tests.flows.place import Place

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def lake(samples: Path, server: Server, store_home: Path) -> Place:
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home, LAKE_SAMPLES=str(samples), LAKE_TRAIN_SECONDS="75")
    said = place.lake("demo")
    print(said[-4000:])
    return place


def rejected(lake: Place, address: str) -> int:
    return lake.rows("ops.rejects", "address")["address"].to_pylist().count(address)


@pytest.mark.parametrize(
    ("address", "rows", "rejects"),
    [
        ("bronze.kafka", 7158 + 3671, 0),
        ("bronze.access", 9999, 1),
        ("bronze.auth", 7121, 0),
        ("bronze.nab", 58519, 0),
        ("bronze.air_quality_it", 9357, 114),
        ("bronze.occupancy", 8143 + 2665, 0),
        ("bronze.beijing_air", 2 * 35064, 0),
        ("bronze.banking77", 10003 + 3080, 0),
        ("bronze.sms_spam", 5574, 0),
        ("bronze.sentiment_sentences", 3 * 1000, 0),
        ("bronze.asap_reviews_zh", 3 * 100, 0),
    ],
)
def test_rows_and_rejects_are_the_manifests(lake: Place, address: str, rows: int, rejects: int) -> None:
    ids = lake.rows(address, "row_id")["row_id"]
    assert (len(ids), pc.count_distinct(ids).as_py(), rejected(lake, address)) == (rows, rows, rejects)


def test_both_brokers_and_all_thirteen_sensors_are_told_apart(lake: Place) -> None:
    hosts = {r["values"]: r["counts"] for r in pc.value_counts(lake.rows("bronze.kafka", "host")["host"]).to_pylist()}
    assert hosts == {"kafka0": 7158, "kafka1": 3671}
    assert pc.count_distinct(lake.rows("bronze.nab", "sensor")["sensor"]).as_py() == 13


def test_banking77_keeps_its_test_rows_and_nothing_of_them_is_trained_on(lake: Place) -> None:
    examples = lake.rows("gold.intent_examples", "split", "text")
    splits = {r["values"]: r["counts"] for r in pc.value_counts(examples["split"]).to_pylist()}
    assert splits["test"] == 3080
    # 10,003 in train, of which 4 are copies within it and 7 of test's, after folding
    assert 10003 - 11 <= splits["train"] + splits["validation"] <= 10003 - 10


def test_a_model_learnt_within_its_budget_and_predicted(lake: Place) -> None:
    champion = Registry(lake.store).champion("intent")
    assert champion is not None
    test = champion.facts["metrics"]["test"]
    assert test["rows"] == 3080
    assert test["accuracy"] > 0.3  # of 77 intents, in 75 s on two busy cores; on idle ones 0.88 in the 150 s of the job, 0.931 in full
    trained = lake.rows("gold.intent_examples", "split")["split"].to_pylist().count("train")
    # All messages but those it learnt; of the 11 copies that are not in gold each is of the one or the other.
    assert 10003 + 3080 + 5574 + 3000 + 300 - trained - 11 <= lake.count("predictions.intent") <= 10003 + 3080 + 5574 + 3000 + 300 - trained


def test_a_second_night_changes_nothing(lake: Place) -> None:
    before = lake.versions()
    lake.lake("nightly")
    assert lake.versions() == before
