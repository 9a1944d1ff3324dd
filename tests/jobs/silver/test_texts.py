"""silver.texts: normalised, masked, with language and labels."""

from __future__ import annotations

import pytest

from lake.errors import SettingsWrong

pytestmark = pytest.mark.timeout(300)

SHARED = "row_id string, file string, text string, split string"


@pytest.fixture
def built(spark, build, monkeypatch, tmp_path):
    """Texts of the four sources, under a key of the test's own."""
    key = tmp_path / "pii"
    key.write_text("a key for this test only, of more than sixteen bytes")
    monkeypatch.setenv("LAKE_PII_KEY_FILE", str(key))
    banking = spark.createDataFrame(
        [
            ("b1", "train.csv", "Where  is my\u00a0card?", "train", "card_arrival"),
            ("b2", "test.csv", "WHERE is my card?\r\n", "test", "card_arrival"),
            (
                "b3",
                "train.csv",
                "Mail anna@example.com, or +44 20 7946 0958. Again: Anna@Example.com",
                "train",
                "contact",
            ),
            ("b4", "train.csv", " \u0085 ", "train", "empty"),
        ],
        SHARED + ", intent string",
    )
    spam = spark.createDataFrame([("s1", "sms.tsv", "Call 09061701461 now", None, "spam")], SHARED + ", spam string")
    sentences = spark.createDataFrame([("y1", "yelp.txt", "Cafe\u0301 is good.", None, "positive")], SHARED + ", sentiment string")
    reviews = spark.createDataFrame([("z1", "train.csv", "味道不错，服务很好，下次还会来。", "train", 4.0)], SHARED + ", stars double")
    return build(banking, spam, sentences, reviews)


def test_every_text_has_its_language_its_labels_and_null_where_its_source_says_nothing(built, shape):
    rows = {r.text_id: r for r in built.collect()}
    assert built.dtypes == shape
    assert {i: (r.source, r.language, r.intent, r.sentiment, r.stars, r.spam) for i, r in rows.items() if i in ("b1", "s1", "y1", "z1")} == {
        "b1": ("banking77", "en", "card_arrival", None, None, None),
        "s1": ("sms_spam", "en", None, None, None, "spam"),
        "y1": ("sentiment_sentences", "en", None, "positive", None, None),
        "z1": ("asap_reviews_zh", "zh", None, None, 4.0, None),
    }


def test_white_space_is_folded_letters_are_composed_and_nothing_but_space_is_null_for_the_gate_to_reject(built):
    rows = {r.text_id: r.text for r in built.collect()}
    assert (rows["b1"], rows["b2"], rows["b4"], rows["y1"]) == (
        "Where is my card?",
        "WHERE is my card?",
        None,
        "Caf\u00e9 is good.",
    )


def test_texts_that_differ_in_case_and_space_only_share_their_folded_id(built):
    ids = {r.text_id: r.folded_id for r in built.collect()}
    assert ids["b1"] == ids["b2"] != ids["b3"]


def test_personal_data_is_masked_and_equal_people_get_equal_tokens(built):
    row = next(r for r in built.collect() if r.text_id == "b3")
    assert row.text == "Mail [EMAIL], or [PHONE]. Again: [EMAIL]"
    assert [p.kind for p in row.pii] == ["EMAIL", "PHONE"]
    assert all(len(p.token) == 32 for p in row.pii)


def test_the_key_is_nowhere_in_the_plan(built):
    plan = built._jdf.queryExecution().toString()
    assert "sixteen bytes" not in plan


def test_without_a_key_the_error_says_the_line_to_type(spark, build, monkeypatch, tmp_path):
    monkeypatch.setenv("LAKE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path))
    for name in ("LAKE_PII_KEY", "LAKE_PII_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    empty = spark.createDataFrame([], SHARED)
    with pytest.raises(SettingsWrong, match="openssl rand -hex 32"):
        build(empty, empty, empty, empty)
