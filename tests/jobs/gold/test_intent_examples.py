"""gold.intent_examples: what may be trained on, and what is measured on."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.timeout(300)

DDL = "text_id string, source string, language string, text string, folded_id string, split string, intent string, sentiment string, stars double"
IN_TRAIN, IN_VALIDATION = "00000063", "00000000"  # percentiles 99 and 0


def text(text_id, split, folded=IN_TRAIN, intent="card_arrival"):
    return (text_id, "banking77", "en", f"text {folded}", folded, split, intent, None, None)


@pytest.fixture
def kept(spark, build):
    def ids(*rows):
        return {r.example_id: r.split for r in build(spark.createDataFrame(rows, DDL)).collect()}

    return ids


def test_columns_are_the_contracts_without_a_null_and_ids_are_of_one_length(spark, build, contract):
    rows = build(spark.createDataFrame([text("a", "train"), text("b", "test", "1")], DDL))
    assert [(n, k) for n, k in rows.dtypes] == [(c.name, c.type) for c in contract.columns]
    found = rows.collect()
    assert {len(r.input_ids) for r in found} == {64}
    assert all(r.input_ids[r.tokens - 1] != 0 and not any(r.input_ids[r.tokens :]) for r in found)
    assert all(v is not None for r in found for v in r)


def test_of_equal_texts_across_splits_the_one_in_train_is_left_out(kept):
    assert kept(text("a", "train"), text("b", "test"), text("c", "train", "2")) == {"b": "test", "c": "validation"}


def test_of_equal_texts_in_train_the_smallest_id_stays(kept):
    assert kept(text("b", "train"), text("a", "train"), text("c", "train")) == {"a": "train"}


def test_a_source_keeps_its_own_test_rows_whole(kept):
    assert kept(text("a", "test"), text("b", "test")) == {"a": "test", "b": "test"}


def test_a_tenth_of_train_is_validation_and_without_a_split_a_tenth_is_test(kept):
    assert kept(text("a", "train", IN_VALIDATION), text("b", "train", IN_TRAIN)) == {"a": "validation", "b": "train"}
    assert kept(text("a", None, IN_TRAIN), text("b", None, IN_VALIDATION), text("c", None, "00000032")) == {
        "a": "test",
        "b": "validation",
        "c": "train",
    }


def test_a_text_without_an_intent_is_no_example(kept):
    assert kept(text("a", "train", intent=None), text("b", "test", "1")) == {"b": "test"}
