"""Columns that drift: each kind has its fate by the contract, no value is lost in silence, none lands in another's place."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import ops
from lake.contract import Contract
from lake.errors import ContractBroken
from lake.sources import delimited, json_lines
from lake.sources.drift import Drift, laid_out, of_note, set_aside
from lake.sources.records import NO_RECORD
from tests.lake.project import ORIGIN, Place, contract, write, write_contract
from tests.lake.sources.test_blocks import unrolled

A, B, C = ("north", "2026-03-01", 1.0), ("north", "2026-03-02", 2.0), ("south", "2026-03-03", 3.0)
GOOD = [("west", f"2026-04-{n:02}", float(n)) for n in range(1, 31)]  # so that the batch is not refused for its share of rejects
Told = tuple[list[tuple[Any, ...]], list[tuple[int, str]]]  # rows; rejects by line


def rows(*found: tuple[Any, ...], rest: str | None = None) -> Told:
    return [(*row, rest) for row in found], []


def away(*found: tuple[int, str], left: Sequence[tuple[Any, ...]] = ()) -> Told:
    return [(*row, None) for row in left], list(found)


HEADER = away((1, "header"))
# Each kind: the file; its fate by the defaults; its fate where the contract lets in what it can.
DELIMITED: dict[str, tuple[str, Told, Told]] = {
    "01-new-at-the-end": ("station,day,value,depth\nnorth,2026-03-01,1,9\nnorth,2026-03-02,2,8\n", HEADER,
                          ([(*A, '{"depth":"9"}'), (*B, '{"depth":"8"}')], [])),
    "02-new-in-the-middle": ("station,depth,day,value\nnorth,9,2026-03-01,1\n", HEADER, rows(A, rest='{"depth":"9"}')),
    "03-gone": ("station,day\nnorth,2026-03-01\n", HEADER, rows(("north", "2026-03-01", None))),
    "04-gone-though-required": ("day,value\n2026-03-01,1\n", HEADER, HEADER),
    "05-renamed": ("station,day,reading\nnorth,2026-03-01,1\n", HEADER, rows(A)),
    "06-renamed-to-what-nobody-said": ("place,day,value\nnorth,2026-03-01,1\n", HEADER, HEADER),
    "07-retyped": ("station,day,value\nnorth,2026-03-01,warm\nnorth,2026-03-02,2\n",
                   away((2, "not_a_number:value"), left=[B]), away((2, "not_a_number:value"), left=[B])),
    "08-reordered": ("value,day,station\n1,2026-03-01,north\n3,2026-03-03,south\n", HEADER, rows(A, C)),
    "09-duplicated": ("station,day,value,value\nnorth,2026-03-01,1,5\n", HEADER, HEADER),
    "10-of-other-case": ("station,day,Value\nnorth,2026-03-01,1\n", HEADER, HEADER),
    "11-header-missing": ("north,2026-03-01,1\nnorth,2026-03-02,2\n", HEADER, HEADER),
    "12-header-again": ("station,day,value\nnorth,2026-03-01,1\nstation,day,value\nnorth,2026-03-02,2\n",
                        away((3, "header_again"), left=[A, B]), away((3, "header_again"), left=[A, B])),
    "13-extra-cell-with-an-empty-name": ("station,day,value,\nnorth,2026-03-01,1,\n", HEADER, HEADER),
    "14-extra-trailing-cell": ("station,day,value\nnorth,2026-03-01,1,\nnorth,2026-03-02,2\n",
                               away((2, "fields"), left=[B]), away((2, "fields"), left=[B])),
    "15-a-cell-less": ("station,day,value\nnorth,2026-03-01\nnorth,2026-03-02,2\n",
                       away((2, "fields"), left=[B]), away((2, "fields"), left=[B])),
    "16-another-delimiter": ("station;day;value\nnorth;2026-03-01;1\n", HEADER, HEADER),
    "17-new-and-twice": ("station,day,value,depth,depth\nnorth,2026-03-01,1,8,9\n", HEADER, HEADER),
    "18-the-old-name-and-the-new-one": ("station,day,value,reading\nnorth,2026-03-01,1,5\n", HEADER, HEADER),
}  # fmt: skip


def line(place: Any = "{}", **changes: Any) -> str:
    """A JSON line; a change to ... takes the name out."""
    found = {"station": "north", "day": "2026-03-01", "value": 1, "place": {"lat": 50.5, "name": "roof", "tags": ["a"]} if place == "{}" else place}
    return json.dumps({k: v for k, v in (found | changes).items() if v is not ...}) + "\n"


ROOF = '{"lat":50.5,"name":"roof","tags":["a"]}'
JSON_LINES: dict[str, tuple[str, Told, Told]] = {
    "01-new": (line(depth=9), away((1, "unknown_key:depth")), ([(*A, ROOF, '{"depth":9}')], [])),
    "02-gone": (line(value=...), ([("north", "2026-03-01", None, ROOF, None)], []), ([("north", "2026-03-01", None, ROOF, None)], [])),
    "03-gone-though-required": (line(station=...), away((1, "absent:station")), away((1, "absent:station"))),
    "04-renamed": (line(value=..., reading=1), away((1, "unknown_key:reading")), ([(*A, ROOF, None)], [])),
    "05-retyped": (line(value="warm"), away((1, "not_a_number:value")), away((1, "not_a_number:value"))),
    "06-retyped-to-an-object": (line(station={"id": 5}), away((1, "wrong_type:station")), away((1, "wrong_type:station"))),
    "07-reordered": ('{"value":1,"place":null,"day":"2026-03-01","station":"north"}\n', ([(*A, None, None)], []), ([(*A, None, None)], [])),
    "08-duplicated": (line()[:-2] + ',"value":5}\n', away((1, "duplicate_key:value")), away((1, "duplicate_key:value"))),
    "09-of-other-case": (line(value=..., Value=1), away((1, "key_case:Value")), away((1, "key_case:Value"))),
    "10-names-missing": ('["north","2026-03-01",1]\n', away((1, "not_an_object")), away((1, "not_an_object"))),
    "11-nested-new": (line({"lat": 1, "depth": 9}), away((1, "unknown_key:place.depth")), ([(*A, '{"lat":1,"depth":9}', None)], [])),
    "12-nested-gone": (line({"name": "roof"}), away((1, "absent:place.lat")), away((1, "absent:place.lat"))),
    "13-nested-retyped": (line({"lat": "north"}), away((1, "wrong_type:place.lat")), away((1, "wrong_type:place.lat"))),
    "14-nested-in-other-case": (line({"lat": 1, "Name": "roof"}), away((1, "key_case:place.Name")), away((1, "key_case:place.Name"))),
    "15-nested-list-retyped": (line({"lat": 1, "tags": ["a", 5]}), away((1, "wrong_type:place.tags[]")), away((1, "wrong_type:place.tags[]"))),
    "16-nested-to-text": (line("roof"), away((1, "wrong_type:place")), away((1, "wrong_type:place"))),
}  # fmt: skip

PLACE = {"name": "place", "logicalType": "object", "physicalType": "string", "description": "Where it stands.", "properties": [
    {"name": "lat", "logicalType": "number", "required": True},
    {"name": "name", "logicalType": "string"},
    {"name": "tags", "logicalType": "array", "items": {"name": "tag", "logicalType": "string"}},
]}  # fmt: skip
LENIENT: dict[str, Any] = {"unknown": {"field": "rest"}, "absent": None, "order": "any", "aliases": {"value": ["reading"]}}


def source(place: Place, format: str, options: Mapping[str, Any]) -> None:
    """The contracts and the job of a source of stations, days and values; station and day may never be absent."""
    fields = [
        {"name": "station", "type": "string", "required": True},
        {"name": "day", "type": "date", "required": True},
        {"name": "value", "type": "double"},
    ]
    more = ["place"] if format == "json_lines" else []
    rest = ["rest"] if "unknown" in options else []
    server = {"path": "raw/readings/*", "format": format}
    server["customProperties"] = [{"property": "options", "value": {"formats": {"day": "yyyy-MM-dd"}, **options}}]  # type: ignore[assignment]
    document = contract("raw.readings", [*fields, *({"name": n, "type": "string"} for n in rest)], server=server)
    document["schema"][0]["properties"] += [PLACE] if more else []
    write_contract(place.project, document)
    columns = [{"name": n, "type": "string"} for n in (*more, "rest")]
    write_contract(place.project, contract("bronze.readings", [*ORIGIN, *fields[:2], {"name": "value", "type": "double"}, *columns]))
    given = "" if rest else '.selectExpr("*", "cast(null as string) as rest")'
    place.change("jobs/bronze/readings.py", '"value")', '"value"' + "".join(f', "{n}"' for n in (*more, *rest)) + ")" + given)


def fates(place: Place, columns: Sequence[str]) -> dict[str, Told]:
    """What became of each file: its rows, and its rejects by line."""
    found: dict[str, Told] = {}
    for row in sorted(place.rows("bronze.readings", "file", "ordinal", *columns), key=lambda row: row[:2]):
        found.setdefault(row[0].split(".")[0], ([], []))[0].append(tuple(row[2:]))
    for r in sorted(ops.read(place.lake.store, "rejects"), key=lambda r: (r["file"], r["line"])):
        found.setdefault(r["file"].split(".")[0], ([], []))[1].append((r["line"], ";".join(r["reasons"])))
    return found


def told(place: Place) -> list[str]:
    checks = ops.read(place.lake.store, "checks", [("rule", "=", "drift")])
    assert {(c["severity"], c["success"]) for c in checks} <= {("warning", False)}
    return sorted(c["message"].removeprefix("raw.readings: ") for c in checks)


@pytest.mark.parametrize("lenient", [False, True], ids=["by the defaults", "let in"])
def test_every_kind_of_drift_of_a_delimited_file_has_its_fate(new_place: Place, lenient: bool) -> None:
    source(new_place, "delimited", LENIENT if lenient else {})
    for name, (text, *_) in DELIMITED.items():
        write(new_place.root / "raw" / "readings" / f"{name}.csv", text)
    new_place.file("good.csv", *GOOD)
    outcome = new_place.run("bronze.readings")
    assert outcome.status == "published", outcome.error
    expected = {name: fate[1 + lenient] for name, fate in DELIMITED.items()}
    assert fates(new_place, ("station", "day", "value", "rest")) == expected | {"good": rows(*GOOD)}
    if lenient:
        assert (
            "warning: raw.readings: 2 files have depth, which the contract lacks: kept in rest (01-new-at-the-end.csv, 02-new-in-the-middle.csv)"
            in outcome.message
        )
        for said in ("1 files lack value: null in their rows (03-gone.csv)", "1 files have reading, another name of a field (05-renamed.csv)",
                     "1 files have their columns in another order: read by name (08-reordered.csv)"):  # fmt: skip
            assert said in told(new_place)
    else:
        assert (
            "2 files are set aside whole: none of the contract's names stands in the first row (11-header-missing.csv, 16-another-delimiter.csv)"
            in told(new_place)
        )
        assert "1 files are set aside whole: its header lacks value; has reading (05-renamed.csv)" in told(new_place)
        assert "1 files are set aside whole: its header has its columns in another order (08-reordered.csv)" in told(new_place)
    assert not any("north" in said for said in told(new_place))  # what may be data is not told
    before = new_place.versions()
    assert new_place.run("bronze.readings").status == "nothing"
    assert new_place.versions() == before


@pytest.mark.parametrize("lenient", [False, True], ids=["by the defaults", "let in"])
def test_every_kind_of_drift_of_json_lines_has_its_fate(new_place: Place, lenient: bool) -> None:
    options = {k: v for k, v in LENIENT.items() if k != "order"}
    source(new_place, "json_lines", options if lenient else {})
    for name, (text, *_) in JSON_LINES.items():
        write(new_place.root / "raw" / "readings" / f"{name}.jsonl", text)
    write(new_place.root / "raw" / "readings" / "good.jsonl", "".join(line(station=s, day=d, value=v) for s, d, v in GOOD))
    outcome = new_place.run("bronze.readings")
    assert outcome.status == "published", outcome.error
    expected = {name: fate[1 + lenient] for name, fate in JSON_LINES.items()}
    assert fates(new_place, ("station", "day", "value", "place", "rest")) == expected | {"good": ([(*row, ROOF, None) for row in GOOD], [])}
    assert "1 files lack value: null in their rows (02-gone.jsonl)" in told(new_place)
    assert ("1 files have depth, which the contract lacks: kept in rest (01-new.jsonl)" in told(new_place)) is lenient
    before = new_place.versions()
    assert new_place.run("bronze.readings").status == "nothing"
    assert new_place.versions() == before


def test_a_file_of_another_order_that_grows_is_read_by_name_again(new_place: Place) -> None:
    source(new_place, "delimited", LENIENT)
    grown = write(new_place.root / "raw" / "readings" / "a.csv", "value,day,station\n1,2026-03-01,north\n2,2026-03-02,north\n")
    new_place.run("bronze.readings")
    write(grown, grown.read_text() + "3,2026-03-03,south\n")
    assert new_place.run("bronze.readings").status == "published"
    assert new_place.rows("bronze.readings", "ordinal", "station", "day", "value") == [(0, *A), (1, *B), (2, *C)]


def test_a_file_that_grows_after_its_contract_was_reordered_is_read_by_the_new_one(new_place: Place) -> None:
    columns = [{"name": "station", "type": "string"}, {"name": "day", "type": "string"}, {"name": "value", "type": "double"}]

    def contracts(*order: int) -> None:
        server = {"path": "raw/readings/*", "format": "delimited"}
        write_contract(new_place.project, contract("raw.readings", [columns[n] for n in order], server=server))

    contracts(0, 1, 2)
    write_contract(new_place.project, contract("bronze.readings", [*ORIGIN, *columns]))
    grown = write(new_place.root / "raw" / "readings" / "a.csv", "station,day,value\nnorth,2026-03-01,1\nnorth,2026-03-02,2\n")
    assert new_place.run("bronze.readings").status == "published"
    contracts(1, 0, 2)  # whoever wrote it mistook two columns of text for each other
    write(grown, grown.read_text() + "south,2026-03-03,3\n")
    assert new_place.run("bronze.readings").rows_rejected == 1
    assert [r["reasons"] for r in ops.read(new_place.lake.store, "rejects")] == [["header"]]


# -- the readers alone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"unknown": "keep"}, "unknown is 'keep'"),
        ({"unknown": {"field": "z"}}, "unknown is"),
        ({"absent": "maybe"}, "absent is 'maybe'"),
        ({"absent": ["z"]}, "absent is"),
        ({"absent": []}, "absent is"),
        ({"absent": ["a"], "shapes": {"a": {"required": True}}}, "absent is"),
        ({"order": "some"}, "order is 'some'"),
        ({"aliases": {"z": ["y"]}}, "aliases is"),
        ({"aliases": {"a": "y"}}, "aliases is"),
        ({"aliases": {"a": ["b"]}}, "aliases is"),
        ({"aliases": {"a": ["y"], "b": ["y"]}}, "aliases is"),
        ({"aliases": ["y"]}, "aliases is"),
        ({"order": "any", "header": False}, "about names"),
        ({"order": "any", "header": ["A"]}, "about names"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ContractBroken, match=wrong) as caught:
        list(delimited.records(io.BytesIO(), options, ("a", "b")))
    assert caught.value.next_step


def test_shapes_are_told_by_the_contract_and_written_by_nobody(new_place: Place) -> None:
    source(new_place, "json_lines", {"shapes": {}})
    with pytest.raises(ContractBroken, match="shapes is no option"):
        Contract.load("raw.readings")


def test_fields_that_come_and_go_are_agreed_and_not_told() -> None:
    found = list(json_lines.rows(io.BytesIO(b'{"a":1}\n'), {"absent": ["b"]}, ("a", "b")))
    assert [(r[0], r[5]) for r in found] == [(0, ("1", None))]
    assert [r[6] for r in json_lines.rows(io.BytesIO(b'{"b":1}\n'), {"absent": ["b"]}, ("a", "b"))] == ["absent:a"]
    found = list(delimited.rows(io.BytesIO(b"a\n1\n"), {"absent": ["b"]}, ("a", "b")))
    assert [(r[0], r[5], r[6]) for r in found] == [(NO_RECORD, (None, None), None), (0, ("1", None), None)]


def test_a_field_is_told_to_be_gone_only_where_no_record_of_the_file_has_it() -> None:
    def notes(data: bytes) -> list[Any]:
        return [r[5] for r in json_lines.rows(io.BytesIO(data), {}, ("a", "b")) if r[0] == NO_RECORD]

    assert notes(b'{"a":1}\n{"a":2}\n') == [("2 gone b",)]
    assert notes(b'{"a":1}\n{"a":2,"b":null}\n') == notes(b'{"a":1,"b":2}\n') == notes(b"") == notes(b"5\n") == []


def test_names_that_are_data_do_not_fill_the_notes() -> None:
    lines = b"".join(b'{"a":1,"k%d":2}\n' % n for n in range(1_000))
    (notes,) = [r[5] for r in json_lines.rows(io.BytesIO(lines), {"unknown": "ignore"}, ("a",)) if r[0] == NO_RECORD]
    assert len(notes) == 100


def test_where_there_is_to_be_no_header_one_is_found_out() -> None:
    found = list(delimited.records(io.BytesIO(b"a,b\n1,2\na,b\n"), {"header": False}, ("a", "b")))
    assert [(r.problem, r.fields) for r in found] == [("header_again", (None, None)), (None, ("1", "2")), (None, ("a", "b"))]


def test_names_are_told_of_what_is_a_header_at_all() -> None:
    assert of_note(set_aside(["a", "B", "a"], ["a", "b"])) == ("header", "its header lacks b; has B; has twice a", 1)
    assert "Ada" not in set_aside(["Ada", "5"], ["a", "b"])


NAMES = st.lists(st.sampled_from(["a", "b", "c", "A", "x", "y", "", " "]), min_size=1, max_size=6)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "unknown": st.sampled_from(["reject", "ignore", {"field": "rest"}]),
        "absent": st.sampled_from(["reject", None, ["b"]]),
        "order": st.sampled_from(["exact", "any"]),
        "aliases": st.just({"c": ["x"]}),
    },
)


@settings(deadline=None)
@given(names=NAMES, options=CHOICES, many=st.sampled_from([1, 300]))
def test_no_value_lands_in_another_place(names: list[str], options: dict[str, Any], many: int) -> None:
    """Each cell holds the name of its column and its row: so a field may hold its own name's value, its alias's, or none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[f"{name}{row}" for name in names] for row in range(many)])
    fields = ("a", "rest", "b", "c") if isinstance(options.get("unknown"), dict) else ("a", "b", "c")
    data = text.getvalue().encode()
    found = list(delimited.records(io.BytesIO(data), options, fields))
    if found[0].problem == "header":
        assert len(found) == 1
        return
    assert [r.problem for r in found] == [None] * many
    for n, record in enumerate(found):
        values = dict(zip(fields, record.fields, strict=True))
        rest = json.loads(values.pop("rest", None) or "{}")
        for name, value in values.items():
            other = "x" if "aliases" in options and name == "c" else name
            assert value in ({f"{name}{n}"} if name in names else {f"{other}{n}"} if other in names else {None})
        assert all(value == f"{name}{n}" for name, value in rest.items())
        if "rest" in fields:  # nothing is lost
            assert sorted([*filter(None, values.values()), *rest.values()]) == sorted(f"{name}{n}" for name in names)
    by_block = unrolled(list(delimited.blocks(io.BytesIO(data), options, fields)))
    assert [r[5] for r in by_block if r[0] != NO_RECORD] == [r.fields for r in found]


def test_the_layout_of_a_header_that_names_its_columns_otherwise() -> None:
    drift = Drift.of({"order": "any", "absent": None}, ("a", "b"), "here")
    found = laid_out(["B(GT)", "A(GT)"], ["A(GT)", "B(GT)"], drift)
    assert found is not None and (found.places, found.notes) == ((1, 0), ("1 reordered",))
