"""Personal data: what is found, what is left alone, and what stays in its place."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lake.columns.pii import EMAIL_PATTERN, KINDS, find, mask, token
from lake.settings import project_root

KEY = b"a key for these tests only"
PERSONAL = ["anna@example.com", "+44 20 7946 0958", "07700 900123", "13812345678", "(212) 736-5000", "4111 1111 1111 1111"]
PERSONAL += ["DE89 3704 0044 0532 0130 00", "192.168.10.254", "2001:db8::1"]
OTHERS = ["£1,250.00", "2024-03-05 17:51", "order 4837261950", "@", ".", "+", "-", "联系"]
PIECES = st.sampled_from([*PERSONAL, *OTHERS])


@given(st.lists(st.one_of(PIECES, st.text(max_size=8), st.from_regex(r"[0-9 +()-]{1,20}", fullmatch=True)), max_size=8).map("".join))
def test_masked_text_holds_nothing_more_to_mask(text):
    masked, tokens = mask(text, KEY)
    assert mask(masked, KEY) == (masked, [])
    assert not re.search(EMAIL_PATTERN, masked)
    assert len(set(tokens)) == len(tokens)
    assert bool(tokens) == (masked != text)
    assert all(kind in KINDS and f"[{kind}]" in masked and re.fullmatch("[0-9a-f]{32}", t) for kind, t in tokens)


@given(st.text(max_size=60))
def test_found_places_never_overlap_and_lie_in_the_text(text):
    ends = 0
    for found in find(text):
        assert ends <= found.start < found.end <= len(text)
        ends = found.end


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Mail Anna.Smith+x@mail.example.co.uk, please.", "Mail [EMAIL], please."),
        ("邮箱是zhang.wei@example.com。", "邮箱是[EMAIL]。"),
        ("邮箱是ｚｈａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ", "邮箱是[EMAIL]"),
        ("ring +44 20 7946 0958 or 07700 900123", "ring [PHONE] or [PHONE]"),
        ("ring (212) 736-5000 or 212-736-5000", "ring [PHONE] or [PHONE]"),
        ("手机13812345678，座机010-62345678", "手机[PHONE]，座机[PHONE]"),
        ("手机１３８１２３４５６７８", "手机[PHONE]"),
        ("IBAN de89 3704 0044 0532 0130 00 please", "IBAN [IBAN] please"),
        ("GB82WEST12345698765432.", "[IBAN]."),
        ("card 4111 1111 1111 1111 exp 12/26", "card [CARD] exp 12/26"),
        ("卡号6222021234567890128。", "卡号[CARD]。"),
        ("from 192.168.10.254 and 2001:db8::1", "from [IP] and [IP]"),
    ],
)
def test_personal_data_is_replaced_in_its_place(text, masked):
    assert mask(text, KEY)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "Paid £1,250.00 on 2024-03-05 17:51:22, order 4837261950",
        "order no 2025550123 ref 20231105123456",
        "from 12/05/2023 to 01.06.2023 10:30",
        "card ending 4242, code 123456, 83039 62735=£450",
        "4111 1111 1111 1112 is a misread card",
        "GB82 WEST 1234 5698 7654 33 is a mistyped IBAN",
        "EAN 4006381333931, parcel 1Z999AA10123456784",
        "version 1.2.3.4567 at 10:30:59, std::vector, 12::30",
        "account 12345678 sort code 20-30-40",
        "me @ home, @anna",
        "[EMAIL] [PHONE]",
    ],
)
def test_amounts_dates_orders_and_versions_are_left_alone(text):
    assert mask(text, KEY) == (text, [])


def test_spellings_of_one_thing_have_one_token_and_another_key_gives_another():
    _, [(_, first)] = mask("Anna@Example.com", KEY)
    _, tokens = mask("anna@example.com, ANNA@EXAMPLE.COM", KEY)
    assert tokens == [("EMAIL", first)]
    assert mask("07700 900123", KEY)[1] == mask("+44 7700 900123", KEY)[1]
    assert token(b"another key of enough bytes", "EMAIL", "anna@example.com") != first
    assert token(KEY, "PHONE", "anna@example.com") != first


def test_the_suite_of_silver_texts_holds_the_very_pattern_that_masks():
    suite = yaml.safe_load((project_root() / "expectations" / "silver" / "texts.yaml").read_text(encoding="utf-8"))
    assert EMAIL_PATTERN in [e["kwargs"].get("regex") for e in suite["expectations"]]
