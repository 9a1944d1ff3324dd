"""Sequence classification: one label for a whole text."""

# transformers is typed in parts only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from lake.models.heads import Said

# Names under which architectures keep their dropout; those that a base lacks are left out.
_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
    "classifier_dropout",
)

transformers_logging.set_verbosity_error()  # "some weights were newly initialised": that is what a new head is
transformers_logging.disable_progress_bar()


def model(base: Path, labels: Sequence[str], dropout: float) -> nn.Module:
    """The base with a linear layer over its first token; label names in its configuration."""
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    config.update(
        {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {name: i for i, name in enumerate(labels)},
        }
    )
    config.update({name: dropout for name in _DROPOUTS if hasattr(config, name)})
    return AutoModelForSequenceClassification.from_pretrained(
        base, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )


def load(folder: Path) -> nn.Module:
    """A trained model from its folder, in eval mode."""
    loaded = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    return loaded.eval()


def save(model: nn.Module, folder: Path) -> None:
    """model.safetensors and config.json."""
    trained: Any = model
    trained.save_pretrained(folder)


def targets(batch: Mapping[str, Any], label: str, labels: Sequence[str]) -> Tensor:
    """The labels' numbers; rows of weight 0 get number 0."""
    number = {name: i for i, name in enumerate(labels)}
    return torch.tensor([number.get(str(name), 0) for name in np.atleast_1d(batch[label])], dtype=torch.long)


def forward(model: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """Logits, one column per label."""
    return model(input_ids=ids, attention_mask=mask).logits


def loss(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy, in fp32: bf16 has 8 bits of mantissa, too few to add up 77 exponentials."""
    return (F.cross_entropy(logits.float(), targets, reduction="none") * weight).sum()


def predictions(logits: Tensor) -> Said:
    """The likeliest label; of equal ones the first."""
    probabilities = logits.float().softmax(-1)
    best = probabilities.argmax(-1)
    return Said(best.cpu().numpy(), probabilities.gather(-1, best[:, None])[:, 0].cpu().numpy().astype(np.float32))
