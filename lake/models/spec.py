"""FineTune: everything that decides what a training makes, apart from code and data; each knob with its reason."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from lake.errors import ContractBroken


@dataclass(frozen=True, slots=True)
class FineTune:
    """The spec of a fine-tuning. A model is a function of (code, this, the pinned table version); all of it goes into the card."""

    # What is learnt
    head: str = "sequence_classification"  # the kind of task: lake/models/heads/<head>.py
    base: str = ""  # a packaged model's name, a folder or a hub id; "" = LAKE_MODELS, else the packaged MiniLM
    input_ids: str = "input_ids"  # token ids of fixed length, made by Spark: 40 times the rows/s of tokenising here
    tokens: str = "tokens"  # how many of them are real: what batches are grouped and cut by
    label: str = "label"
    split: str = "split"  # holds 'train', 'validation' and 'test'
    tokenizer: str = "tokenizer"  # sha256 of the tokenizer.json that made the ids; another than the base's is an error
    slices: tuple[str, ...] = ("language",)  # columns whose values are scored apart: an average hides a language that fails
    max_length: int = 64  # banking77's longest texts have about 100 tokens, 99 % fewer than 64; cost grows with it

    # How
    batch: int = 32  # over all processes, so that their number does not change what is learnt
    epochs: int = 7  # banking77: 0.709 after one, 0.929 after five, no more gain after six
    learning_rate: float = 2e-4  # ten times BERT-base's usual: MiniLM has 22 M weights of width 384; 2e-5 still climbs at epoch 7
    schedule: Literal["linear", "constant"] = "linear"  # to 0 at the last step: the last epochs settle what the first ones found
    warm_up: float = 0.1  # of all steps: AdamW's second moments are noise in the first few hundred
    weight_decay: float = 0.01  # on matrices, not on biases and norms, as BERT was trained
    dropout: float = 0.1  # what the base was trained with; 0 makes ranks comparable (tests)
    clip: float = 1.0  # norm of the gradient: a batch of rare labels can throw the new head's first steps
    least_steps: int = 0  # a table so small that its epochs are fewer steps is passed over as many times more, and patience with it
    patience: int = 2  # epochs without a better validation accuracy before it stops; the best epoch's weights are kept
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # bf16 where the chip multiplies it (1.9 times), with fp32 weights and moments
    seed: int = 7  # order of rows, the new head's weights, dropout

    # With what
    processes: int = 2  # one per core of a small machine, or per GPU
    budget_seconds: float | None = None  # wall time to the test's end; the steps that fit are planned and recorded
    # (from step, steps in all), as a card says: makes a training again that was cut by its budget; wins over epochs and budget
    plan: tuple[tuple[int, int], ...] = ()
    checkpoint_steps: int | None = None  # also within an epoch, for tables whose epoch is longer than one likes to lose

    def __post_init__(self) -> None:
        wrong = [
            what
            for what, bad in {
                "batch, epochs, processes and max_length must be 1 or more": min(self.batch, self.epochs, self.processes, self.max_length) < 1,
                "learning_rate must be above 0": not (self.learning_rate > 0 and math.isfinite(self.learning_rate)),
                "warm_up and dropout must be in [0, 1)": not (0 <= self.warm_up < 1 and 0 <= self.dropout < 1),
                "weight_decay and clip must be 0 or more (clip 0: none)": self.weight_decay < 0 or self.clip < 0,
                "least_steps must be 0 or more": self.least_steps < 0,
                "patience must be 1 or more": self.patience < 1,
                "seed must be 0 or more": self.seed < 0,
                "budget_seconds must be above 0, or None": self.budget_seconds is not None and self.budget_seconds <= 0,
                "plan must begin at step 0, and each part end after its begin": bool(self.plan)
                and (self.plan[0][0] != 0 or any(end <= begin for begin, end in self.plan)),
                "checkpoint_steps must be 1 or more, or None": self.checkpoint_steps is not None and self.checkpoint_steps < 1,
            }.items()
            if bad
        ]
        if wrong:
            raise ContractBroken(f"FineTune: {'; '.join(wrong)}", next_step="mend the job's SPEC")

    def stretch(self, epoch_steps: int) -> int:
        """How many times more often than `epochs` says a table of so many steps an epoch is passed over."""
        return max(1, math.ceil(self.least_steps / (self.epochs * epoch_steps))) if epoch_steps else 1

    def to_json(self) -> str:
        """As JSON text, as it stands in a card."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> FineTune:
        """The spec that `to_json` wrote; knobs that this version does not know are an error, for they meant something.

        Raises:
            ContractBroken: an unknown knob.
        """
        said: dict[str, Any] = json.loads(text)
        if unknown := sorted(set(said) - {f.name for f in fields(cls)}):
            raise ContractBroken(
                f"the spec has knobs that this version of Millrace does not know: {', '.join(unknown)}",
                next_step="train with the version named in the card",
            )
        plan = tuple((int(begin), int(end)) for begin, end in said.pop("plan", ()))
        slices = tuple(str(name) for name in said.pop("slices", cls().slices))
        return cls(**said, slices=slices, plan=plan)
