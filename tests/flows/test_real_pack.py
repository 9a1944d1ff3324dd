"""The main job on real raw files: the counts of their manifest hold in the tables, as delta-rs reads them."""

from __future__ import annotations

import secrets
from functools import reduce
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest

from lake.models.registry import Registry
from lake.server import Server
from tests.flows.place import Place

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def lake(samples: Path, server: Server, store_home: Path) -> Place:
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home, LAKE_SAMPLES=str(samples), LAKE_TRAIN_SECONDS="75")
    said = place.lake("demo")
    print(said[-4000:])
    return place


def rejected(lake: Place, address: str) -> int:
    return lake.rows("ops.rejects", "address")["address"].to_pylist().count(address)


@pytest.mark.parametrize(
    ("address", "rows", "rejects"),
    [
        ("bronze.kafka", 7158 + 3671, 0),
        ("bronze.access", 9999, 1),
        ("bronze.auth", 7121, 0),
        ("bronze.nab", 58519, 0),
        ("bronze.air_quality_it", 9357, 114),
        ("bronze.occupancy", 8143 + 2665, 0),
        ("bronze.beijing_air", 2 * 35064, 0),
        ("bronze.banking77", 10003 + 3080, 0),
        ("bronze.sms_spam", 5574, 0),
        ("bronze.sentiment_sentences", 3 * 1000, 0),
        ("bronze.asap_reviews_zh", 3 * 100, 0),
        ("bronze.ratings", 578_805, 0),
        ("bronze.e2e_nlg", 4_672, 0),
        ("bronze.wnut17", 3_394 + 1_008 + 1_287, 1),  # a token of the last sentence of dev has no tag
        ("bronze.weibo_ner", 1_350 + 270 + 270, 0),
        ("bronze.bgl", 2_000, 0),
        ("bronze.hdfs", 2_000, 0),
        ("bronze.linux", 2_000, 0),
        ("bronze.bgl_structured", 2_000, 0),
        ("bronze.hdfs_structured", 2_000, 0),
        ("bronze.linux_structured", 2_000, 0),
        ("bronze.loghub_templates", 120 + 14 + 118, 0),
        ("bronze.nab_windows", 28, 0),
        ("bronze.banking77_categories", 77, 0),
    ],
)
def test_rows_and_rejects_are_the_manifests(lake: Place, address: str, rows: int, rejects: int) -> None:
    ids = lake.rows(address, "row_id")["row_id"]
    assert (len(ids), pc.count_distinct(ids).as_py(), rejected(lake, address)) == (rows, rows, rejects)


def test_both_brokers_and_all_thirteen_sensors_are_told_apart(lake: Place) -> None:
    hosts = {r["values"]: r["counts"] for r in pc.value_counts(lake.rows("bronze.kafka", "host")["host"]).to_pylist()}
    assert hosts == {"kafka0": 7158, "kafka1": 3671}
    assert pc.count_distinct(lake.rows("bronze.nab", "sensor")["sensor"]).as_py() == 13


def test_every_file_of_the_pack_is_in_the_books_but_two_notices(lake: Place, samples: Path) -> None:
    read = {(r["source"], r["path"]) for r in lake.rows("ops.files", "source", "path", "status").to_pylist() if r["status"] == "read"}
    assert len(read) == sum(path.is_file() for path in samples.rglob("*")) - 2


@pytest.mark.parametrize(
    ("address", "columns", "repeats"),
    [
        ("bronze.access", ("client", "user", "time", "message", "bytes", "referrer", "agent"), 19),
        ("bronze.auth", ("time", "host", "component", "pid", "message"), 5),
        ("bronze.sms_spam", ("spam", "text"), 403),
        ("bronze.sentiment_sentences", ("site", "text", "sentiment"), 10 + 3 + 4),
        ("bronze.banking77", ("split", "text"), 0),
        ("bronze.ratings", ("reviewer", "vendor", "rating", "time"), 2_793),
        ("bronze.ratings", ("reviewer", "vendor"), 35_807),
        ("bronze.e2e_nlg", ("meaning", "text"), 151),
        ("bronze.e2e_nlg", ("meaning",), 4_672 - 547),
        ("bronze.wnut17", ("split", "text"), 103 + 3 + 7),
        ("bronze.weibo_ner", ("split", "text"), 101 + 7 + 8),
        ("bronze.bgl", ("time", "label", "host", "type", "component", "severity", "message"), 0),
        ("bronze.linux", ("time", "component", "pid", "message"), 0),
        ("bronze.nab", ("sensor", "time"), 23),
    ],
)
def test_repeats_are_the_manifests(lake: Place, address: str, columns: tuple[str, ...], repeats: int) -> None:
    rows = lake.rows(address, *columns)
    assert rows.num_rows - rows.group_by(list(columns)).aggregate([]).num_rows == repeats


@pytest.mark.parametrize(
    ("address", "columns", "counts"),
    [
        (
            "bronze.access",
            ("status",),
            {(200,): 9_125, (304,): 445, (404,): 213, (301,): 164, (206,): 45, (500,): 3, (403,): 2, (416,): 2},
        ),
        ("bronze.sms_spam", ("spam",), {("ham",): 4_827, ("spam",): 747}),
        ("bronze.sentiment_sentences", ("sentiment",), {("positive",): 1_500, ("negative",): 1_500}),
        ("bronze.ratings", ("rating",), {(5,): 466_852, (4,): 74_205, (3,): 14_971, (1,): 11_870, (2,): 10_377, (0,): 530}),
        ("bronze.wnut17", ("split",), {("train",): 3_394, ("validation",): 1_008, ("test",): 1_287}),
        ("bronze.weibo_ner", ("split",), {("train",): 1_350, ("validation",): 270, ("test",): 270}),
        ("bronze.bgl", ("alert",), {(False,): 1_857, (True,): 143}),
        ("bronze.hdfs", ("level",), {("INFO",): 1_920, ("WARN",): 80}),
        ("bronze.loghub_templates", ("system",), {("bgl",): 120, ("hdfs",): 14, ("linux",): 118}),
    ],
)
def test_labels_are_the_manifests(lake: Place, address: str, columns: tuple[str, ...], counts: dict[tuple[object, ...], int]) -> None:
    found = lake.rows(address, *columns).group_by(list(columns)).aggregate([([], "count_all")]).to_pylist()
    assert {tuple(row[column] for column in columns): row["count_all"] for row in found} == counts


def test_lines_that_continue_an_event_lie_within_it(lake: Place, samples: Path) -> None:
    continued = {"kafka0": 0, "kafka1": 0}
    contents = {path.relative_to(samples / "logs/kafka").as_posix(): path.read_bytes() for path in (samples / "logs/kafka").rglob("*.log*")}
    for row in lake.rows("bronze.kafka", "file", "offset", "length").to_pylist():
        event = contents[row["file"]][row["offset"] : row["offset"] + row["length"]]
        continued[row["file"].partition("/")[0]] += event.count(b"\n")
    assert continued == {"kafka0": 2_284, "kafka1": 306}


@pytest.mark.parametrize(
    ("system", "shared"), [("bgl", ("message", "component", "label")), ("hdfs", ("component", "thread")), ("linux", ("component", "pid"))]
)
def test_a_log_and_its_parsed_form_say_the_same(lake: Place, system: str, shared: tuple[str, ...]) -> None:
    raw = sorted(lake.rows(f"bronze.{system}", "line", "message", *shared).to_pylist(), key=lambda row: row["line"])
    parsed = sorted(
        lake.rows(f"bronze.{system}_structured", "number", "message", "event", "template", *shared).to_pylist(), key=lambda row: row["number"]
    )
    assert [row["line"] for row in raw] == [row["number"] for row in parsed] == list(range(1, 2_001))
    assert [[row[c] for c in shared if c != "message"] for row in raw] == [[row[c] for c in shared if c != "message"] for row in parsed]
    assert [row["message"].strip() for row in raw] == [row["message"].strip() for row in parsed]
    templates = {
        (t["event"], t["template"]) for t in lake.rows("bronze.loghub_templates", "system", "event", "template").to_pylist() if t["system"] == system
    }
    assert {(row["event"], row["template"]) for row in parsed} == templates


def test_times_of_blue_gene_are_those_of_california(lake: Place) -> None:
    """The seconds since 1970 and the local time are written apart: where they agree, both were read right."""
    rows = lake.rows("bronze.bgl", "time", "local_time").to_pylist()
    assert all(f"{row['time'].astimezone(ZoneInfo('America/Los_Angeles')):%Y-%m-%d-%H.%M.%S.%f}" == row["local_time"] for row in rows)


def test_readings_within_the_windows_are_the_manifests(lake: Place) -> None:
    windows = lake.rows("bronze.nab_windows", "sensor", "starts", "ends").to_pylist()
    readings = lake.rows("bronze.nab", "sensor", "time")
    inside = 0
    for sensor in {window["sensor"] for window in windows}:
        times = readings.filter(pc.equal(readings["sensor"], sensor))["time"]
        hits = [pc.and_(pc.greater_equal(times, w["starts"]), pc.less_equal(times, w["ends"])) for w in windows if w["sensor"] == sensor]
        inside += pc.sum(reduce(pc.or_, hits)).as_py()
    assert inside == 5_725


def test_banking77_keeps_its_test_rows_and_nothing_of_them_is_trained_on(lake: Place) -> None:
    examples = lake.rows("gold.intent_examples", "split", "text")
    splits = {r["values"]: r["counts"] for r in pc.value_counts(examples["split"]).to_pylist()}
    assert splits["test"] == 3080
    # 10,003 in train, of which 4 are copies within it and 7 of test's, after folding
    assert 10003 - 11 <= splits["train"] + splits["validation"] <= 10003 - 10


def test_a_model_learnt_within_its_budget_and_predicted(lake: Place) -> None:
    champion = Registry(lake.store).champion("intent")
    assert champion is not None
    test = champion.facts["metrics"]["test"]
    assert test["rows"] == 3080
    # Of 77 intents, in 75 s; 0.88 in the 150 s of the job, 0.931 in full. A budget of time buys few steps while others use the machine.
    assert test["accuracy"] > 0.3 or champion.facts["steps"] < 150, champion.facts["steps"]
    trained = lake.rows("gold.intent_examples", "split")["split"].to_pylist().count("train")
    # All messages but those it learnt; of the 11 copies that are not in gold each is of the one or the other.
    assert 10003 + 3080 + 5574 + 3000 + 300 - trained - 11 <= lake.count("predictions.intent") <= 10003 + 3080 + 5574 + 3000 + 300 - trained


def test_a_second_night_changes_nothing(lake: Place) -> None:
    before = lake.versions()
    lake.lake("nightly")
    assert lake.versions() == before
