"""Alerts: one message for what is new, with the gate's sentence and nothing personal; none on a quiet night; a failing one fails nothing."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lake import alerts
from lake.alerts import Trouble, addresses, alert, broke_off, message, send, services
from lake.errors import BatchRefused, Busy, RunFailed
from lake.lake import Lake
from lake.night import nightly
from lake.plan import plan
from lake.run import Outcome
from lake.settings import Settings
from tests.lake.project import Place, write_suite
from tests.lake.report import lakes

FEW = "expect_table_row_count_to_be_between"


@dataclass
class Receiver:
    """A webhook on this machine, and what came to it."""

    port: int = 0
    status: int = 204
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://someone:hush-hush-hush@127.0.0.1:{self.port}/hook/token-of-mine"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def settings(folder: Path, told: str | None, on: str = "warning") -> Settings:
    return Settings(root=str(folder / "lake"), home=folder / "state", alerts=told, alert_on=on)  # pyright: ignore[reportCallIssue, reportArgumentType]


def refused_lake(folder: Path, told: str | None, on: str = "warning") -> Lake:
    """A lake whose silver.texts was refused tonight: a rule on a personal column, and one on the batch."""
    lake = lakes.lake_in(folder)
    lake.settings = settings(folder, told, on)
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    books.run(
        "silver.texts",
        "refused",
        message="silver.texts run 1: the gate refused 9 rows\n  next: lake show silver.texts",
        inputs={"bronze.a": [None, 4]},
    )
    books.check(
        "silver.texts", "expect_table_row_count_to_be_between", False, column=None, observed="9", threshold='{"min_value": 100}', on_fail="refuse",
        why="a source is cut off",
    )  # fmt: skip
    books.check(
        "silver.texts", "expect_column_most_common_value_to_be_in_set", False, "warning", "saw eve@example.org", on_fail="warn",
        column="text", observed='["eve@example.org"]', threshold='{"value_set": ["x"]}',
    )  # fmt: skip
    books.check("silver.texts", "expect_column_values_to_not_be_null", False, on_fail="quarantine", column="text", observed="3 of 9 unexpected")
    books.close()
    return lake


REFUSED = Outcome("silver.texts", "refused", message="refused", error=BatchRefused("silver.texts: refused", next_step="lake show silver.texts"))


def tell(lake: Lake, *outcomes: Outcome) -> bool:
    return alert(lake, plan(), outcomes, "night n: 1 refused")


def test_a_refused_batch_is_told_once_with_its_sentence_and_nothing_personal(tmp_path: Path, receiver: Receiver) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    assert tell(lake, REFUSED)
    (got,) = receiver.got
    assert got["title"] == "Millrace: silver.texts refused" and got["type"] == "failure"
    said = got["message"].splitlines()
    assert "silver.texts (run 1) was refused: nothing of the batch is visible." in said
    assert "- The batch has 9 rows; at least 100 was asked. (a source is cut off)" in said
    assert "next: lake show silver.texts" in said
    assert f"page: {tmp_path}/lake/reports/pages/tables/silver.texts/1.html" in said
    assert sum(line.startswith("- ") for line in said) == 1  # what warns or sets rows aside did not refuse it
    assert "eve@example.org" not in str(got) and "hush" not in str(got) and "token-of-mine" not in str(got)
    assert not tell(lake, REFUSED)  # the next night: the same inputs, the same verdict
    assert len(receiver.got) == 1


def test_another_batch_that_is_refused_is_told_too(tmp_path: Path, receiver: Receiver) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    tell(lake, REFUSED)
    books = lakes.Books(lake.store, "n2", lakes.BEGAN + timedelta(days=1))
    books.run("silver.texts", "refused", run=2, inputs={"bronze.a": [None, 5]})
    books.check("silver.texts", "expect_table_row_count_to_be_between", False, run=2, observed="8", threshold='{"min_value": 100}', on_fail="refuse")
    books.close()
    assert tell(lake, REFUSED)
    assert "- The batch has 8 rows; at least 100 was asked." in receiver.got[1]["message"]


def test_what_was_well_in_between_is_told_again(tmp_path: Path, receiver: Receiver) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    assert tell(lake, REFUSED)
    assert not tell(lake, Outcome("silver.texts", "published", 2, 2))
    assert tell(lake, REFUSED)


def test_trouble_that_stands_is_told_again_after_a_week(tmp_path: Path, receiver: Receiver) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    tell(lake, REFUSED)
    marks = json.loads(lake.store.get("reports/alerts.json") or b"")
    marks["silver.texts"]["at"] = "2020-01-01T00:00:00+00:00"
    lake.store.put("reports/alerts.json", json.dumps(marks).encode())
    assert tell(lake, REFUSED)


@pytest.mark.parametrize("kept", [b"", b"[]", b"no json", b'{"silver.texts": {"mark": "x"}}'])
def test_a_note_of_what_was_told_that_can_not_be_read_keeps_nothing_back(tmp_path: Path, receiver: Receiver, kept: bytes) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    lake.store.put("reports/alerts.json", kept)
    assert tell(lake, REFUSED)


def warned(folder: Path, told: str, on: str) -> tuple[Lake, Outcome]:
    lake = lakes.lake_in(folder)
    lake.settings = settings(folder, told, on)
    books = lakes.Books(lake.store, lake.night, lakes.BEGAN)
    books.run("silver.texts", "published", kept=9, version=1)
    books.check(
        "silver.texts", "expect_table_row_count_to_be_between", False, "warning", observed="9", threshold='{"min_value": 100}', on_fail="warn"
    )
    books.close()
    return lake, Outcome("silver.texts", "published", 1, 1)


def test_a_warning_is_told_as_one_and_only_if_it_is_asked_for(tmp_path: Path, receiver: Receiver) -> None:
    lake, outcome = warned(tmp_path / "a", receiver.url, "warning")
    assert tell(lake, outcome) and not tell(lake, outcome)
    assert (receiver.got[0]["title"], receiver.got[0]["type"]) == ("Millrace: silver.texts warns", "warning")
    lake, outcome = warned(tmp_path / "b", receiver.url, "refused")
    assert not tell(lake, outcome)
    assert len(receiver.got) == 1


def test_a_warning_stands_in_the_message_of_a_refusal(tmp_path: Path, receiver: Receiver) -> None:
    lake, outcome = warned(tmp_path, receiver.url, "refused")
    failed = Outcome("gold.log_hourly", "failed", message="no column 'bob@example.com'", error=RunFailed("x", next_step="lake run gold.log_hourly"))
    assert tell(lake, failed, outcome)
    (got,) = receiver.got
    assert got["title"] == "Millrace: gold.log_hourly failed, silver.texts warns"
    assert "is published, and warns" in got["message"] and "next: lake run gold.log_hourly" in got["message"] and "bob" not in got["message"]


def test_a_quiet_night_and_nobody_to_tell_send_nothing(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    assert not tell(lake, Outcome("silver.texts", "nothing"), Outcome("gold.log_hourly", "published", 1, 1), Outcome("gold.x", "skipped"))
    lake.settings = settings(tmp_path, None)
    assert not tell(lake, REFUSED)
    assert receiver.got == []


def test_what_was_not_told_is_tried_again(tmp_path: Path, receiver: Receiver) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    said = list[str]()
    lake.listener = lambda about, text: said.append(text)
    receiver.status = 503
    assert not tell(lake, REFUSED)
    assert said == ["address 1 of LAKE_ALERTS (JSON) could not be told: it answered 503"]
    receiver.status = 204
    assert tell(lake, REFUSED)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("json://me:hush-hush-hush@127.0.0.1:1/hush-token", "address 1 of LAKE_ALERTS (JSON) could not be told: no connection"),
        ("nosuch://hush-token", "address 1 of LAKE_ALERTS is none that Apprise knows"),
    ],
)
def test_an_alert_that_fails_is_told_without_its_address_and_fails_nothing(
    tmp_path: Path, told: str, why: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    lake = refused_lake(tmp_path, told)
    said = list[str]()
    lake.listener = lambda about, text: said.append(text)
    with caplog.at_level(logging.DEBUG):
        assert not tell(lake, REFUSED)
    assert said == [why]
    out, err = capfd.readouterr()
    apprise = "".join(r.getMessage() for r in caplog.records if r.name.startswith("apprise"))
    assert "hush" not in out + err + apprise + str(said)


def test_whatever_goes_wrong_inside_is_a_line(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = refused_lake(tmp_path, receiver.url)
    said = list[str]()
    lake.listener = lambda about, text: said.append(text)
    monkeypatch.setattr(alerts, "troubles", lambda *_: 1 / 0)
    assert not tell(lake, REFUSED)
    assert said == ["not sent: ZeroDivisionError; the night itself is not touched by it"]


def test_every_address_gets_one_and_one_that_fails_keeps_none_from_the_others(tmp_path: Path, receiver: Receiver) -> None:
    told = f"json://127.0.0.1:1/x, {receiver.url}\n{receiver.url}2"
    assert send(settings(tmp_path, told), "t", f"see {receiver.url}", grave=True) == [
        "address 1 of LAKE_ALERTS (JSON) could not be told: no connection"
    ]
    assert [g["message"] for g in receiver.got] == ["see [SECRET]"] * 2


def test_a_night_that_breaks_off_is_told(tmp_path: Path, receiver: Receiver) -> None:
    said = list[str]()
    broke_off(settings(tmp_path, receiver.url), Busy("another night is at work", next_step="wait"), said.append)
    broke_off(settings(tmp_path, receiver.url), OSError("no room for eve@example.org"), said.append)
    broke_off(settings(tmp_path, None), OSError("x"), said.append)
    assert [g["message"] for g in receiver.got] == ["another night is at work\nnext: wait", "OSError: no room for [EMAIL]"]
    assert said == []


@hypothesis.settings(deadline=None)  # making Settings takes 83 ms at worst on an idle machine, and the deadline is 200
@given(
    st.lists(st.sampled_from(["mailto://a:b@example.org?to=c@d.e,f@g.h", "slack://A/B/C", "json://127.0.0.1/x,y"]), max_size=4),
    st.sampled_from([" ", ",", ", ", "\n", " ,\t"]),
)
def test_addresses_stand_apart_by_white_space_or_commas(told: list[str], between: str) -> None:
    found = Settings(root="/x", alerts=SecretStr(between.join(told)) if told else None)  # pyright: ignore[reportCallIssue]
    assert addresses(found) == told


def test_services_are_named_without_their_addresses(tmp_path: Path) -> None:
    names, wrong = services(settings(tmp_path, "json://u:hush@127.0.0.1/x what://hush slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"))
    assert (names, wrong) == (["JSON", "Slack"], ["address 2 of LAKE_ALERTS is none that Apprise knows"])


def test_a_message_stays_short() -> None:
    one = Trouble("silver.a", "refused", 3, tuple(f"rule {n} broke" for n in range(9)), "mend it", "s3a://lake/p.html", "m")
    title, body = message([replace(one, address=f"silver.t{n}") for n in range(30)], "night n", "s3a://lake/n.html")
    assert title == "Millrace: 30 tables refused"
    assert body.count("was refused") == 20 and body.count("- and 4 more") == 20
    assert body.endswith("and 10 more\n\nthe night's page: s3a://lake/n.html")


def test_a_night_on_real_data_tells_of_a_refused_batch_once(place: Place, receiver: Receiver) -> None:
    """Two nights with Spark and the gate: the batch has four rows, three at most are allowed."""
    place.lake.settings = place.lake.settings.model_copy(update={"alerts": SecretStr(receiver.url)})
    rule = {"type": "expect_table_row_count_to_be_between", "kwargs": {"max_value": 3}, "severity": "critical"}
    write_suite(place.project, "silver.readings", {"expectations": [rule]})
    place.file("c.csv", *[("north", "2026-03-07", float(n)) for n in range(4)])
    for _ in range(2):
        place.lake.night = None
        night = nightly(place.lake, whole=plan(place.project))
        assert {o.address: o.status for o in night.outcomes}["silver.readings"] == "refused"
        assert night.exit_code == 70
    (got,) = receiver.got
    assert got["title"] == "Millrace: silver.readings refused"
    assert "- The batch has 4 rows; at most 3 was asked." in got["message"]
