"""predictions.intent: every message but those that the champion has learnt by heart."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lake.contract import Contract
from lake.models.registry import ModelVersion

FILE = Path(__file__).parents[3] / "jobs" / "predictions" / "intent.py"
MODEL = ModelVersion("intent", 3, "s3a://lake/models/intent/3", (), "{}")


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("job_predictions_intent", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_scores_what_the_model_was_not_trained_on(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql import functions as F

    job = loaded()

    def said(rows: Any, model: ModelVersion) -> Any:
        assert rows.columns == ["text_id", "source", "language", "text"]
        label = F.upper("text").alias("label")
        return rows.select(
            "text_id", "source", "language", label, F.lit(0.5).alias("probability"), F.lit(model.version).cast("bigint").alias("model_version")
        )

    monkeypatch.setattr(job, "score", said)
    columns = "text_id string, source string, language string, text string, intent string, split string, folded_id string"
    low, high, between = "00000001", "00000063", "0000000c"  # 1, 99 and 12 of 100: validation; test where the source has none; train
    rows = [
        ("a", "banking77", "en", "learnt", "card", "train", between),
        ("b", "banking77", "en", "validated", "card", "train", low),
        ("c", "banking77", "en", "tested", "card", "test", between),
        ("d", "tickets", "en", "learnt, its source has no split", "card", None, between),
        ("e", "tickets", "en", "tested, its source has no split", "card", None, high),
        ("f", "asap_reviews_zh", "zh", "train of another task", None, "train", between),
        ("g", "sms_spam", "en", "of no task", None, None, between),
    ]
    built = job.build(spark.createDataFrame(rows, columns), MODEL)
    assert [tuple(r) for r in built.orderBy("text_id").collect()] == [
        ("b", "banking77", "en", "VALIDATED", 0.5, 3),
        ("c", "banking77", "en", "TESTED", 0.5, 3),
        ("e", "tickets", "en", "TESTED, ITS SOURCE HAS NO SPLIT", 0.5, 3),
        ("f", "asap_reviews_zh", "zh", "TRAIN OF ANOTHER TASK", 0.5, 3),
        ("g", "sms_spam", "en", "OF NO TASK", 0.5, 3),
    ]
    ours = {c.name: c.type for c in Contract.load("predictions.intent").columns}
    assert dict(built.dtypes) == {name: kind for name, kind in ours.items() if name not in ("input_version", "run")}
