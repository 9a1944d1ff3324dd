"""Tiny things to train with: a BERT of two narrow layers, and tables in which a word of the text is the label."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake

from lake.models.base import PACKAGED, base_folder, tokenizer_sha256
from lake.models.candidate import CARD, Candidate, Figures, Point
from lake.models.spec import FineTune
from lake.table import FilePin, Manifest

WORDS = {"card": 4003, "cash": 5356, "money": 2769}  # word -> its id in MiniLM's vocabulary
LENGTH = 16


def tiny_base(folder: Path) -> Path:
    """A model folder with random weights (the same at each call) and MiniLM's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64, initializer_range=0.1
    )
    BertModel(config).save_pretrained(folder)
    shutil.copyfile(base_folder(PACKAGED) / "tokenizer.json", folder / "tokenizer.json")
    return folder


def examples(rows: int, splits: Sequence[str] = ("train",), tokenizer: str = "") -> pa.Table:
    """Rows of a training table; n is the row's number."""
    draw = np.random.default_rng(rows)
    tokens = draw.integers(3, LENGTH + 1, rows)
    labels = [list(WORDS)[i % len(WORDS)] for i in range(rows)]
    ids = np.zeros((rows, LENGTH), np.int32)
    for i, (count, label) in enumerate(zip(tokens, labels, strict=True)):
        ids[i, :count] = [101, WORDS[label], *draw.integers(2000, 2050, count - 3), 102]
    return pa.table(
        {
            "n": pa.array(range(rows), pa.int64()),
            "input_ids": pa.array(list(ids), pa.list_(pa.int32())),
            "tokens": pa.array(tokens, pa.int32()),
            "label": labels,
            "text": [f"{label} please" for label in labels],
            "split": [splits[i % len(splits)] for i in range(rows)],
            "language": ["zh" if i % 5 == 0 else "en" for i in range(rows)],
            "tokenizer": [tokenizer] * rows,
        }
    )


def table(
    uri: str | Path, rows: int = 96, *, files: int = 1, group: int = 32, splits: Sequence[str] = ("train",), tokenizer: str | None = None,
    options: dict[str, str] | None = None,
) -> Manifest:  # fmt: skip
    """A Delta table of examples in so many files and groups of so many rows, pinned."""
    everything = examples(rows, splits, tokenizer_sha256(base_folder(PACKAGED)) if tokenizer is None else tokenizer)
    writer = WriterProperties(max_row_group_size=group, write_batch_size=group)
    for part in np.array_split(np.arange(rows), files):
        write_deltalake(str(uri), everything.take(part), mode="append", writer_properties=writer, storage_options=options)
    return pinned(uri, options)


def pinned(uri: str | Path, options: dict[str, str] | None = None) -> Manifest:
    """The newest version as a manifest."""
    delta = DeltaTable(str(uri), storage_options=options)
    adds = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    files = tuple(sorted((FilePin(f"{uri}/{a['path']}", a["size_bytes"], a["num_records"]) for a in adds), key=lambda f: f.path))
    schema = pa.schema(delta.schema().to_arrow())
    return Manifest("gold.tiny", delta.version(), str(uri), files, sum(f.rows for f in files), schema)


def weights_of(folder: Path | str) -> dict[str, np.ndarray]:
    """The trained weights."""
    from safetensors.numpy import load_file

    return load_file(Path(folder) / "model.safetensors")


def farthest(one: Path | str, other: Path | str) -> float:
    """The largest difference between the weights of two folders."""
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def candidate(folder: Path, spec: FineTune, manifest: Manifest, *, accuracy: float = 0.5, weights: bytes = b"weights") -> Candidate:
    """A folder as a training leaves it, without one: a few bytes, and the card of a model of that test accuracy."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text("{}")
    test = Figures(10, accuracy, accuracy, 1.0, ((1,),), {})
    at = "2026-03-01T00:00:00+00:00"
    made = Candidate(
        folder=str(folder), spec=spec, manifest=manifest, labels=("a",), validation=None, test=test, champion=None, champion_version=None,
        curves=(Point(1, 0, "train", "loss", 1.0, at), Point(2, 0, "test", "accuracy", accuracy, at)), steps=2, plan=((0, 2),), epochs=1.0,
        stopped="finished", precision="fp32", processes=1, seconds=1.0, samples_per_second=1.0, base="tiny", base_sha256="b",
        tokenizer_sha256="t", libraries={},
    )  # fmt: skip
    (folder / CARD).write_text(made.to_json())
    return made


def model_folder(folder: Path, accuracy: float = 0.5, weights: bytes = b"weights", table_version: int = 0) -> Path:
    """A folder that looks trained, for the registry."""
    manifest = Manifest("gold.tiny", table_version, str(folder), (), 0, pa.schema([]))
    candidate(folder, FineTune(), manifest, accuracy=accuracy, weights=weights)
    return folder
