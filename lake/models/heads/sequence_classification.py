"""Sequence classification: one label for a whole text.

A base that was trained for the mean of its tokens (sentence-transformers' `1_Pooling/config.json` says so) is classified by that mean, any
other by its first token. The first kind is saved as sentence-transformers lays such a model out (encoder, 1_Pooling, 2_Dense), so
`SentenceTransformer(folder).encode(texts)` gives its logits; the second kind as transformers does.
"""

# transformers is typed in parts only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput
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


_POOLING, _DENSE = "1_Pooling/config.json", "2_Dense"
_MODULES = [("", "Transformer"), ("1_Pooling", "Pooling"), (_DENSE, "Dense")]


class MeanPooled(nn.Module):
    """An encoder, the mean of its tokens and a linear layer; called like a model of transformers."""

    def __init__(self, encoder: nn.Module, labels: int, dropout: float) -> None:
        super().__init__()
        self.encoder: Any = encoder
        if getattr(encoder, "pooler", None) is not None:
            self.encoder.pooler = None  # of the first token: DDP refuses weights that get no gradient
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(self.encoder.config.hidden_size), labels)
        nn.init.normal_(self.classifier.weight, std=0.02)  # as transformers begins its heads
        nn.init.zeros_(self.classifier.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Logits, (rows, labels). Added up in fp32, as sentence-transformers does."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
        real = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * real).sum(1) / real.sum(1).clamp(min=1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(mean)))


def model(base: Path, labels: Sequence[str], dropout: float) -> nn.Module:
    """The base with a linear layer over the mean of its tokens, or over the first one; label names in its configuration."""
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    config.update(
        {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {name: i for i, name in enumerate(labels)},
        }
    )
    config.update({name: dropout for name in _DROPOUTS if hasattr(config, name)})
    pooled = _mean_pooled(base)
    kind: Any = AutoModel if pooled else AutoModelForSequenceClassification
    found = kind.from_pretrained(base, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32)
    return MeanPooled(found, len(labels), dropout) if pooled else found


def load(folder: Path) -> nn.Module:
    """A trained model from its folder, in eval mode."""
    pooled = _mean_pooled(folder)
    kind: Any = AutoModel if pooled else AutoModelForSequenceClassification
    loaded = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32)
    if pooled:
        dense = load_file(folder / _DENSE / "model.safetensors")
        loaded = MeanPooled(loaded, len(dense["linear.bias"]), 0.0)
        loaded.classifier.load_state_dict({name.removeprefix("linear."): values for name, values in dense.items()})
    return loaded.eval()


def save(model: nn.Module, folder: Path) -> None:
    """model.safetensors and config.json, and beside them what sentence-transformers wants of a mean-pooled model."""
    trained: Any = model
    if not isinstance(model, MeanPooled):
        trained.save_pretrained(folder)
        return
    trained.encoder.save_pretrained(folder)
    classifier = model.classifier
    dense = {
        "in_features": classifier.in_features,
        "out_features": classifier.out_features,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    pooling = {"word_embedding_dimension": classifier.in_features, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    modules = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (path, kind) in enumerate(_MODULES)]
    for name, said in {_POOLING: pooling, f"{_DENSE}/config.json": dense, "modules.json": modules}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(said, indent=1))
    weights = {f"linear.{name}": values.contiguous() for name, values in classifier.state_dict().items()}
    save_file(weights, folder / _DENSE / "model.safetensors")


def _mean_pooled(folder: Path) -> bool:
    """Whether the model of a folder says that the mean of its tokens stands for the text."""
    if not (folder / _POOLING).is_file():
        return False
    said = json.loads((folder / _POOLING).read_text())
    return bool(said.get("pooling_mode_mean_tokens") or said.get("pooling_mode") == "mean")


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
    best = logits.argmax(-1)  # two logits that differ can have one probability
    return Said(best.cpu().numpy(), probabilities.gather(-1, best[:, None])[:, 0].cpu().numpy().astype(np.float32))
