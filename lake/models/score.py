"""Scoring inside Spark: the model loaded once per Python process, rows grouped by length, one torch thread per task."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lake.models.candidate import CARD
from lake.models.registry import ModelVersion, Registry

if TYPE_CHECKING:
    import torch
    from pyspark.sql import DataFrame

TEXT = "text"  # the column that holds it, in silver as in gold
ROWS_AT_ONCE = 64  # of like length; more gains nothing on a core, and a GPU is fed by several tasks


def score(rows: DataFrame, model: ModelVersion, text: str = TEXT) -> DataFrame:
    """The rows without their text, and what the model says of it: label, probability, model_version."""
    from pyspark.sql import types as T

    kept = [field for field in rows.schema.fields if field.name != text]
    said = [
        T.StructField("label", T.StringType()),
        T.StructField("probability", T.DoubleType()),
        T.StructField("model_version", T.LongType()),
    ]
    return rows.mapInArrow(partial(_score_batches, model, text), T.StructType([*kept, *said]))


def _score_batches(model: ModelVersion, text: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The Python side of a Spark task."""
    for batch in batches:
        labels, probabilities = _scorer(model).say([t or "" for t in batch.column(text).to_pylist()])
        columns = {name: batch.column(name) for name in batch.schema.names if name != text}
        columns["label"] = pa.array(labels, pa.string())
        columns["probability"] = pa.array(probabilities, pa.float64())
        columns["model_version"] = pa.array(np.full(batch.num_rows, model.version), pa.int64())
        yield pa.RecordBatch.from_pydict(columns)


class Scorer:
    """A model in memory, with its own tokenizer."""

    def __init__(self, folder: Path, threads: int = 1, device: torch.device | None = None) -> None:
        import json

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # a Spark task has one core
        import torch
        from tokenizers import Tokenizer

        from lake.models import chip
        from lake.models.heads import head

        torch.set_num_threads(threads)
        card: dict[str, Any] = json.loads((folder / CARD).read_text())
        self.labels: list[str] = card["labels"]
        self.head = head(card["spec"]["head"])
        self.device = device or chip.device(os.getpid())  # tasks of one machine are spread over its GPUs
        self.model = self.head.load(folder).to(self.device)
        self.bf16 = chip.has_bf16(self.device.type)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(card["spec"]["max_length"])
        self.tokenizer.no_padding()  # some models come with padding to a fixed 128 switched on

    def say(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Label and probability of each text, in its order."""
        import torch

        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        by_length = np.argsort([len(i) for i in ids], kind="stable")
        labels, probabilities = [""] * len(ids), [0.0] * len(ids)
        with torch.inference_mode(), torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            for first in range(0, len(ids), ROWS_AT_ONCE):
                chosen = by_length[first : first + ROWS_AT_ONCE]
                padded = np.zeros((len(chosen), max(1, *(len(ids[i]) for i in chosen))), np.int64)
                for row, i in enumerate(chosen):
                    padded[row, : len(ids[i])] = ids[i]
                lengths = np.array([max(1, len(ids[i])) for i in chosen])
                mask = (np.arange(padded.shape[1]) < lengths[:, None]).astype(np.int64)
                logits = self.head.forward(self.model, torch.from_numpy(padded).to(self.device), torch.from_numpy(mask).to(self.device))
                said = self.head.predictions(logits)
                for row, i in enumerate(chosen):
                    labels[i], probabilities[i] = self.labels[int(said.label[row])], float(said.probability[row])
        return labels, probabilities


@cache
def _scorer(model: ModelVersion) -> Scorer:
    """The process's own copy: Spark keeps its Python workers for the next task."""
    from lake.store import open_store

    return Scorer(Registry(open_store()).fetched(model))
