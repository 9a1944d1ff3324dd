"""A text is classified by the mean of its tokens where the base was trained for that, else by its first token; saved as others read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.models.heads import sequence_classification as head

LABELS = ("card", "cash", "money")
IDS = torch.tensor([[101, 4003, 2000, 102], [101, 5356, 102, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture(params=["mean", "first"])
def pretrained(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    if request.param == "mean":
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder


def test_what_is_saved_says_the_same_when_it_is_loaded(pretrained: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = head.model(pretrained, LABELS, 0.5).eval()
    head.save(made, tmp_path)
    loaded = head.load(tmp_path)
    with torch.inference_mode():
        assert torch.equal(head.forward(loaded, IDS, MASK), head.forward(made, IDS, MASK))
    config: dict[str, Any] = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "card", "1": "cash", "2": "money"}


def test_every_weight_learns(pretrained: Path) -> None:
    made = head.model(pretrained, LABELS, 0.0)
    head.loss(head.forward(made, IDS, MASK), torch.tensor([0, 2]), torch.ones(2)).backward()
    assert [name for name, weight in made.named_parameters() if weight.grad is None] == []  # DDP would refuse them


def test_the_mean_is_over_real_tokens_only(base: Path) -> None:
    mean = head.MeanPooled(_Echo(), labels=2, dropout=0.0)
    with torch.no_grad():
        mean.classifier.weight.copy_(torch.eye(2))
    said = mean(torch.tensor([[2, 4, 99], [6, 99, 99]]), torch.tensor([[1, 1, 0], [1, 0, 0]])).logits
    assert said.tolist() == [[3.0, 3.0], [6.0, 6.0]]


def test_published_files_are_those_of_sentence_transformers(base: Path, tmp_path: Path) -> None:
    (made := head.MeanPooled(_bert(base), 3, 0.0)).eval()
    head.save(made, tmp_path)
    modules = json.loads((tmp_path / "modules.json").read_text())
    assert [(m["path"], m["type"].rpartition(".")[2]) for m in modules] == [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    dense = json.loads((tmp_path / "2_Dense" / "config.json").read_text())
    assert (dense["in_features"], dense["out_features"]) == (32, 3)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.safetensors")) == ["2_Dense/model.safetensors", "model.safetensors"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_likeliest_label_is_said_with_a_probability(rows: list[list[float]]) -> None:
    said = head.predictions(torch.tensor(rows))
    for row, label, probability in zip(rows, said.label, said.probability, strict=True):
        assert row[int(label)] == max(row)
        assert 1 / 3 - 1e-6 <= probability <= 1 + 1e-6


class _Echo(torch.nn.Module):
    """An encoder whose hidden states are the ids themselves, twice."""

    class config:
        hidden_size = 2

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        class Said:
            last_hidden_state = input_ids.unsqueeze(-1).repeat(1, 1, 2)

        return Said


def _bert(base: Path) -> torch.nn.Module:
    from transformers import AutoModel

    return AutoModel.from_pretrained(base)
