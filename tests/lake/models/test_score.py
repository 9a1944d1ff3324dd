"""Scoring: inside Spark as alone, each row with the version that said it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lake.models.registry import ModelVersion, Registry
from lake.models.score import Scorer, score
from lake.models.spec import FineTune
from lake.models.train import fine_tune
from lake.settings import Settings
from lake.store import open_store
from tests.lake.models import tiny


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that knows its words."""
    place = tmp_path_factory.mktemp("scored")
    spec = FineTune(base=str(base), batch=16, epochs=5, learning_rate=1e-2, dropout=0.0, precision="fp32", max_length=tiny.LENGTH)
    made = fine_tune(spec, tiny.table(place / "table", 240, splits=("train", "train", "train", "validation", "test")), place / "out")
    assert made is not None
    return Path(made.folder)


@pytest.fixture(scope="module")
def model(trained: Path, spark: Any, store_home: Path) -> ModelVersion:
    """It, registered where the suite's Spark looks."""
    settings = Settings(home=store_home)  # pyright: ignore[reportCallIssue]
    return Registry(open_store(settings)).publish("scored", 7, trained)


def test_says_the_word_in_any_order_and_length(trained: Path) -> None:
    scorer = Scorer(trained)
    texts = ["money " + "please " * n for n in (40, 1, 3)] + ["cash", "the card", "", "卡 card"] * 40
    labels, probabilities = scorer.say(texts)
    assert labels[:5] == ["money", "money", "money", "cash", "card"]
    assert all(0 < p <= 1 for p in probabilities) and len(labels) == len(texts)
    one_by_one = [scorer.say([text]) for text in texts[:8]]
    assert [one[0][0] for one in one_by_one] == labels[:8]
    assert [one[1][0] for one in one_by_one] == pytest.approx(probabilities[:8], abs=0.02)  # bf16 where the chip has it
    assert scorer.say([]) == ([], [])


def test_scores_inside_spark(spark: Any, model: ModelVersion, trained: Path) -> None:
    rows = [(f"t{i}", "bank", "en", f"{list(tiny.WORDS)[i % 3]} " + "x " * (i % 9)) for i in range(300)]
    frame = spark.createDataFrame(rows, "text_id string, source string, language string, text string").repartition(3)
    scored = score(frame, model)
    wanted = [
        ("text_id", "string"),
        ("source", "string"),
        ("language", "string"),
        ("label", "string"),
        ("probability", "double"),
        ("model_version", "bigint"),
    ]
    assert scored.dtypes == wanted
    got = {row.text_id: row for row in scored.collect()}
    labels, probabilities = Scorer(trained).say([row[3] for row in rows])
    assert len(got) == 300 and {row.model_version for row in got.values()} == {7}
    assert [got[row[0]].label for row in rows] == labels
    assert [got[row[0]].probability for row in rows] == pytest.approx(probabilities, abs=0.02)


def test_no_rows(spark: Any, model: ModelVersion) -> None:
    assert score(spark.createDataFrame([], "text_id string, text string"), model).collect() == []
