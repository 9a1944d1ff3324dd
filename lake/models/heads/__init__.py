"""Heads: one module per kind of task, found by its name: what is put on the base model, its loss, and what it says of a row."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from lake.errors import ContractBroken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of a batch: for each row a label's number and how sure it is."""

    label: NDArray[np.int64]
    probability: NDArray[np.float32]


class Head(Protocol):
    """A kind of task. A module with these functions is one; a class works as well."""

    def model(self, base: Path, labels: Sequence[str], dropout: float) -> nn.Module:
        """The base with a new head for these labels, to be trained; its weights drawn from torch's generator."""
        ...

    def load(self, folder: Path) -> nn.Module:
        """A trained model as `save` left it, ready to be asked."""
        ...

    def save(self, model: nn.Module, folder: Path) -> None:
        """The weights as safetensors and the configuration as JSON."""
        ...

    def targets(self, batch: Mapping[str, Any], label: str, labels: Sequence[str]) -> Tensor:
        """The labels of a batch as the loss wants them."""
        ...

    def forward(self, model: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
        """What the model gives for a batch (logits)."""
        ...

    def loss(self, logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        """The SUM of the rows' losses times their weights; the trainer divides by the rows of all ranks."""
        ...

    def predictions(self, logits: Tensor) -> Said:
        """Label and probability per row."""
        ...


def head(name: str) -> Head:
    """The head of that name.

    Raises:
        ContractBroken: there is no module of that name here.
    """
    if not name.isidentifier() or importlib.util.find_spec(f"{__name__}.{name}") is None:
        known = ", ".join(sorted(m.name for m in pkgutil.iter_modules(__path__)))
        raise ContractBroken(
            f"no head {name!r}: lake/models/heads has {known}",
            next_step=f"write lake/models/heads/{name}.py, or mend the spec's head",
        )
    return cast("Head", importlib.import_module(f"{__name__}.{name}"))
