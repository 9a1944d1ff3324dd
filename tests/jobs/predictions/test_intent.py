"""predictions.intent: every message but those of a train split, by the champion."""

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


def test_scores_what_no_model_was_trained_on(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql import functions as F

    job = loaded()

    def said(rows: Any, model: ModelVersion) -> Any:
        assert rows.columns == ["text_id", "source", "language", "text"]
        label = F.upper("text").alias("label")
        return rows.select(
            "text_id", "source", "language", label, F.lit(0.5).alias("probability"), F.lit(model.version).cast("bigint").alias("model_version")
        )

    monkeypatch.setattr(job, "score", said)
    columns = "text_id string, source string, language string, text string, split string"
    rows = [("a", "banking77", "en", "one", "train"), ("b", "banking77", "en", "two", "test"), ("c", "sms_spam", "en", "three", None)]
    built = job.build(spark.createDataFrame(rows, columns), MODEL)
    assert [tuple(r) for r in built.orderBy("text_id").collect()] == [
        ("b", "banking77", "en", "TWO", 0.5, 3),
        ("c", "sms_spam", "en", "THREE", 0.5, 3),
    ]
    ours = {c.name: c.type for c in Contract.load("predictions.intent").columns}
    assert dict(built.dtypes) == {name: kind for name, kind in ours.items() if name not in ("input_version", "run")}
