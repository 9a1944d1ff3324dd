"""Tagged sentences: a token a line, blank lines between."""

from __future__ import annotations

import io
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.sources import conll
from lake.sources.records import BOM, NO_RECORD

FIELDS = ("tokens", "tags")


def read(data: bytes, options: dict[str, Any] | None = None, fields: tuple[str, ...] = FIELDS) -> list[tuple[int, tuple[str | None, ...] | str]]:
    """First line and fields of each sentence, or its problem."""
    return [(r.line, r.problem or r.fields) for r in conll.records(io.BytesIO(data), options or {}, fields)]


def test_sentences_end_at_blank_lines_and_at_the_end_of_the_file() -> None:
    assert read(b"Eve\tB-person\nhums\tO\n\t\nlol\tO\r\n\r\n \n\nHi\tO\n!\tO") == [
        (1, ("Eve hums", "B-person O")),
        (4, ("lol", "O")),
        (8, ("Hi !", "O O")),
    ]


def test_a_line_without_its_tag_sets_its_sentence_aside_whole() -> None:
    data = b"a\tO\nb\nc\tO\n\nd\tO\n\ne\tO\n\xef\xbb\xbf\n\n\tO\n\nf\tO\tO\n\ng h\tO\n\ni\t\n"
    found = list(conll.records(io.BytesIO(data), {}, FIELDS))
    assert [(r.line, r.lines, r.problem) for r in found] == [
        (1, 3, "no_tag"), (5, 1, None), (7, 2, "no_tag"), (10, 1, "no_token"), (12, 1, "columns"), (14, 1, "space"), (16, 1, "no_tag"),
    ]  # fmt: skip
    assert (found[0].raw, found[0].fields) == (b"a\tO\nb\nc\tO", (None, None))


def test_several_columns_with_a_space_between() -> None:
    data = b"EU NNP B-ORG\nrejects VBZ O\n"
    assert read(data, {"separator": " "}, ("tokens", "parts", "tags")) == [(1, ("EU rejects", "NNP VBZ", "B-ORG O"))]


def test_bytes_that_are_no_text_are_kept() -> None:
    found = list(conll.records(io.BytesIO(b"\xe9\tO\nb\tO\n\n\0\tO\n\nc\tO\n"), {}, FIELDS))
    assert [(r.problem, r.raw) for r in found] == [("encoding", b"\xe9\tO\nb\tO"), ("nul", b"\0\tO"), (None, b"c\tO")]


def test_a_sentence_without_end_is_bounded() -> None:
    (one, two) = conll.records(io.BytesIO(b"a\tO\n" * 10_000 + b"\nb\tO\n"), {"longest": 64}, FIELDS)
    assert (one.problem, one.length, one.lines, len(one.raw)) == ("too_long", 39_999, 10_000, 64)
    assert (two.problem, two.line) == (None, 10_002)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ContractBroken, match="separator is '  '"):
        read(b"", {"separator": "  "})


PIECES = st.sampled_from(
    [b"a", b"\tO", b"\n", b"\n\n", b"\r\n", b"\r", b" ", b"\t", b"\xff", b"\xc2\x85", b"\x00", b"\xef\xbb\xbf", b"b\tO\nc\tO\n\n"]
)


@settings(deadline=None)  # a loaded machine is not a slow reader
@given(data=st.lists(PIECES).map(b"".join))
def test_every_line_lies_in_one_sentence_or_is_blank(data: bytes) -> None:
    at, line, sentences = len(BOM) if data.startswith(BOM) else 0, 1, 0
    for ordinal, start, offset, length, count, fields, problem, raw in conll.rows(io.BytesIO(data), {}, FIELDS):
        assert (start, offset) == (line, at)
        whole = data[offset : offset + length]
        assert count == whole.count(b"\n") + 1
        if ordinal == NO_RECORD:
            assert not whole.strip()
        else:
            assert (ordinal, raw, (problem is None)) == (sentences, whole, None not in fields)
            assert not re.search(rb"(?:^|\n)\s*(?:\n|$)", whole)
            sentences += 1
        end = re.match(rb"(?:\r?\n)?", data[offset + length :])
        at, line = offset + length + (end.end() if end else 0), line + count
    assert at == len(data)


@given(st.lists(st.lists(st.tuples(st.text("aé微'#", min_size=1), st.sampled_from(["O", "B-x", "I-x"])), min_size=1)))
def test_reads_what_is_written(sentences: list[list[tuple[str, str]]]) -> None:
    data = "".join("".join(f"{token}\t{tag}\n" for token, tag in one) + "\n" for one in sentences).encode()
    assert [row for _, row in read(data)] == [tuple(map(" ".join, zip(*one, strict=True))) for one in sentences]


def begins(before: str, tag: str) -> bool:
    """Whether an entity begins at a tag: in Weibo's 14 do without a B-."""
    return tag[:2] == "B-" or (tag[:2] == "I-" and before[2:] != tag[2:])


@pytest.mark.parametrize(
    ("name", "size", "sentences", "wrong", "tokens", "entities"),
    [
        # The last of dev's 1,009 sentences ends in a byte order mark on a line of its own, a token without a tag: 11 tokens, an entity aside.
        ("wnut17", 800_958, [1_008, 1_287, 3_394], {"no_tag": 1}, 62_730 + 15_734 - 11 + 23_394, 1_975 + 836 - 1 + 1_079),
        ("weibo_ner", 750_687, [270, 270, 1_350], {}, 14_509 + 14_842 + 73_778, 1_895 + 389 + 418),
    ],
)
def test_real_files(real_files: Any, name: str, size: int, sentences: list[int], wrong: dict[str, int], tokens: int, entities: int) -> None:
    source, files = real_files(name, size)
    problems: Counter[str] = Counter()
    each, words, begun = list[int](), 0, 0
    for file in files:
        with open(file.uri, "rb") as stream:
            found = list(conll.records(stream, source.options, [c.name for c in source.fields]))
        problems.update(r.problem for r in found if r.problem)
        each.append(sum(r.problem is None for r in found))
        tags = [tag for r in found for tag in ["O", *(r.fields[1] or "").split()]]
        words, begun = words + len(tags) - len(found), begun + sum(begins(*pair) for pair in pairwise(tags))
    assert (each, dict(problems), words, begun) == (sentences, wrong, tokens, entities)
