"""Candidate: what a training made and what it is worth, as facts; its JSON is the body of the model's card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lake.models.spec import FineTune
from lake.table import Manifest

CARD = "card.json"  # written last, into the folder of the weights: its existence means that the model is whole


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve, as a row of ops.metrics has it."""

    step: int
    epoch: int
    split: str
    metric: str
    value: float
    at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Figures:
    """How well the predictions of a split fit, whole and by slice."""

    rows: int
    accuracy: float
    macro_f1: float
    loss: float
    confusion: tuple[tuple[int, ...], ...]  # [truth][said], in the order of the labels
    slices: Mapping[str, Mapping[str, Mapping[str, float]]]  # column -> value -> rows, accuracy, macro_f1

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Figures:
        """Figures from a card's JSON."""
        rest: dict[str, Any] = {name: value for name, value in said.items() if name != "confusion"}
        return cls(**rest, confusion=tuple(tuple(int(n) for n in row) for row in said["confusion"]))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model in a folder, not yet in the registry."""

    folder: str
    spec: FineTune
    manifest: Manifest
    labels: tuple[str, ...]
    validation: Figures | None
    test: Figures | None
    champion: Figures | None  # the champion of that moment, asked on the very same test rows
    champion_version: int | None
    curves: tuple[Point, ...]
    steps: int  # optimiser steps taken
    plan: tuple[tuple[int, int], ...]  # (from step, steps in all): what the learning rate followed
    epochs: float
    stopped: str  # 'finished', 'early' (no better validation accuracy) or 'over budget'
    precision: str
    processes: int
    seconds: float
    samples_per_second: float
    base: str
    base_sha256: str  # of the base's weights
    tokenizer_sha256: str
    libraries: Mapping[str, str]

    def to_json(self) -> str:
        """As the JSON of a card."""
        said = {
            name: getattr(self, name)
            for name in self.__slots__
            if name not in ("folder", "spec", "manifest", "validation", "test", "champion", "curves")
        }
        return json.dumps(
            {
                **said,
                "spec": asdict(self.spec),
                "data": {
                    "address": self.manifest.address,
                    "version": self.manifest.version,
                    "rows": self.manifest.rows,
                },
                "manifest": json.loads(self.manifest.to_json()),
                "metrics": {name: asdict(f) for name in ("validation", "test", "champion") if (f := getattr(self, name)) is not None},
                "curves": [asdict(point) for point in self.curves],
            },
            indent=1,
        )

    @classmethod
    def of(cls, folder: Path) -> Candidate:
        """The candidate in a folder, from its card."""
        said = json.loads((folder / CARD).read_text())
        metrics = {name: Figures.of(figures) for name, figures in said.pop("metrics").items()}
        plain = {name: said[name] for name in cls.__slots__ if name in said and name not in ("spec", "manifest", "curves", "labels", "plan")}
        return cls(
            folder=str(folder),
            spec=FineTune.from_json(json.dumps(said["spec"])),
            manifest=Manifest.from_json(json.dumps(said["manifest"])),
            labels=tuple(said["labels"]),
            plan=tuple((begin, end) for begin, end in said["plan"]),
            curves=tuple(Point(**point) for point in said["curves"]),
            **{name: metrics.get(name) for name in ("validation", "test", "champion")},
            **plain,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The few figures that a list of models shows."""
        parts = {"validation": self.validation, "test": self.test}
        return {f"{name}_{what}": round(getattr(f, what), 6) for name, f in parts.items() if f for what in ("accuracy", "macro_f1", "loss")}


def figures(truth: NDArray[np.int64], said: NDArray[np.int64], labels: int, loss: float, slices: Mapping[str, NDArray[Any]]) -> Figures:
    """The figures of predictions; `said` may be -1 for a label that the truth does not know."""
    confusion = np.zeros((labels, labels + 1), np.int64)
    np.add.at(confusion, (truth, said), 1)  # -1 is the last column: wrong for every label
    return Figures(
        rows=len(truth),
        accuracy=_accuracy(truth, said),
        macro_f1=macro_f1(truth, said),
        loss=loss,
        confusion=tuple(tuple(int(n) for n in row[:labels]) for row in confusion),
        slices={
            column: {
                str(value): {
                    "rows": int(at.sum()),
                    "accuracy": _accuracy(truth[at], said[at]),
                    "macro_f1": macro_f1(truth[at], said[at]),
                }
                for value in sorted(set(values.tolist()))
                for at in (values == value,)
            }
            for column, values in slices.items()
        },
    )


def macro_f1(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """The mean F1 of the labels that occur in truth or predictions, as scikit-learn counts it."""
    scores: list[float] = []
    for label in sorted({*truth.tolist(), *said.tolist()}):
        right = int(((truth == label) & (said == label)).sum())
        scores.append(2 * right / (int((truth == label).sum()) + int((said == label).sum())))
    return float(np.mean(scores)) if scores else 0.0


def _accuracy(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    return float((truth == said).mean()) if len(truth) else 0.0


def better(one: Figures, other: Figures | None) -> bool:
    """Whether one is better than the other: by accuracy, and when that is equal by macro-F1."""
    return other is None or (one.accuracy, one.macro_f1) > (other.accuracy, other.macro_f1)


def table(labels: Sequence[str], figures: Figures, worst: int = 10) -> str:
    """The labels that fare worst, as lines for a log."""
    rows = sorted(((row[i] / max(1, sum(row)), labels[i], sum(row)) for i, row in enumerate(figures.confusion) if sum(row)))
    return "\n".join(f"  {share:.2f} of {count:>4}  {name}" for share, name, count in rows[:worst])
