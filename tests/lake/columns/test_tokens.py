"""Token ids: of one length, with the base model's own tokenizer."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.columns.tokens import LENGTH, encode, tokenizer_hash, tokenizer_path
from lake.errors import SettingsWrong


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=200)), max_size=4))
def test_every_text_gets_ids_of_one_length_padding_only_behind_them(texts):
    made = encode(texts, str(tokenizer_path()))
    assert [m is None for m in made] == [t is None for t in texts]
    for row in made:
        if row is not None:
            assert len(row["input_ids"]) == LENGTH
            assert 2 <= row["tokens"] <= LENGTH
            assert not any(row["input_ids"][row["tokens"] :])


def test_ids_are_those_of_the_models_own_tokenizer():
    from transformers import AutoTokenizer

    text = "I still haven't received my card: [EMAIL], 我的卡"
    theirs = AutoTokenizer.from_pretrained(tokenizer_path().parent)(text, truncation=True, max_length=LENGTH, padding="max_length")
    [ours] = encode([text], str(tokenizer_path()))
    assert ours == {"input_ids": theirs["input_ids"], "tokens": sum(theirs["attention_mask"])}


def test_another_base_model_brings_its_own_tokenizer(monkeypatch, tmp_path):
    own = tokenizer_hash()
    folder = tmp_path / "model"
    folder.mkdir()
    monkeypatch.setenv("LAKE_MODELS", str(folder))
    with pytest.raises(SettingsWrong, match=r"has no tokenizer\.json"):
        tokenizer_path()
    shutil.copy(str(_packaged(monkeypatch)), folder)
    monkeypatch.setenv("LAKE_MODELS", str(folder))
    assert tokenizer_path() == folder / "tokenizer.json"
    assert tokenizer_hash() == own


def _packaged(monkeypatch):
    monkeypatch.delenv("LAKE_MODELS")
    return tokenizer_path()
