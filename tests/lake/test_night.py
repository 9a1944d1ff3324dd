"""A night's end: its exit code, its sentence, and whoever is called when it failed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import lake.night as night_module
from lake.errors import BatchRefused, RunFailed, TrainingFailed
from lake.job import Job
from lake.lake import Lake
from lake.night import Night, call, nightly, show
from lake.plan import Plan, Step
from lake.run import Outcome
from lake.settings import Settings
from lake.store import open_store

PROJECT = Path(__file__).parents[2]
FINE = Outcome("silver.a", "published", 1, 1, 3, 3)
REFUSED = Outcome("silver.b", "refused", message="too few rows", error=BatchRefused("silver.b: too few rows", next_step="lake show silver.b"))
FAILED = Outcome("gold.c", "failed", message="boom", error=RunFailed("gold.c: boom", next_step="mend it"))


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [((FINE,), 0), ((FINE, REFUSED), 70), ((FAILED, FAILED), 72), ((REFUSED, FAILED), 1), ((FINE, Outcome("gold.d", "skipped")), 0)],
)
def test_the_exit_code_is_the_failures_own_when_they_share_one(outcomes: tuple[Outcome, ...], code: int) -> None:
    assert Night("n", outcomes, ()).exit_code == code


@given(st.lists(st.sampled_from([FINE, REFUSED, FAILED, Outcome("m", "failed", error=TrainingFailed("x"))]), max_size=6))
def test_a_night_is_0_exactly_when_nothing_failed(outcomes: list[Outcome]) -> None:
    assert (Night("n", tuple(outcomes), ()).exit_code == 0) == all(o.error is None for o in outcomes)


def test_the_table_names_every_address_and_every_next_step() -> None:
    console = Console(record=True, width=120, file=open("/dev/null", "w"))  # noqa: SIM115
    show(Night("n1", (FINE, REFUSED, FAILED), ()), console)
    said = console.export_text()
    assert "night n1: 1 published, 1 refused, 1 failed" in said
    for word in ("silver.a", "silver.b", "gold.c", "lake show silver.b", "mend it"):
        assert word in said


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, object]]]]:
    got: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


def calling(on_failure: str, folder: Path) -> Settings:
    return Settings(root=str(folder / "lake"), home=folder / "home", on_failure=on_failure)  # pyright: ignore[reportCallIssue]


def test_a_webhook_gets_what_failed(tmp_path: Path, receiver: tuple[str, list[dict[str, object]]]) -> None:
    url, got = receiver
    call(calling(url, tmp_path), Night("n2", (FINE, REFUSED), ()).facts())
    assert got[0]["exit_code"] == 70
    assert got[0]["outcomes"] == [{"address": "silver.b", "status": "refused", "message": "too few rows"}]


def test_a_command_gets_it_on_its_input_and_none_of_our_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_SECRET_KEY", "top-secret")
    monkeypatch.setenv("LAKE_SOURCE_KAFKA_SECRET_KEY", "top-secret")
    call(calling(f"cat > {tmp_path}/facts; env > {tmp_path}/env", tmp_path), Night("n3", (FAILED,), ()).facts())
    assert json.loads((tmp_path / "facts").read_text())["night"] == "n3"
    assert "top-secret" not in (tmp_path / "env").read_text()


@pytest.mark.parametrize("target", ["exit 3; token=hush", "http://[hush/hook", "http://127.0.0.1:1/hush"])
def test_a_call_that_fails_is_told_without_its_words_and_does_not_hide_the_night(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], target: str
) -> None:
    call(calling(target, tmp_path), Night("n4", (FAILED,), ()).facts())
    said = capfd.readouterr().err
    assert "LAKE_ON_FAILURE could not be called" in said
    assert "hush" not in said


def test_a_night_that_breaks_off_calls_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKE_ON_FAILURE", f"cat > {tmp_path}/facts")
    with Lake.open() as busy, busy.writing("night"):
        done = subprocess.run([sys.executable, "-m", "lake.cli", "nightly"], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 75, done.stderr
    facts = json.loads((tmp_path / "facts").read_text())
    assert facts["exit_code"] == 75 and "the night broke off: Busy" in facts["text"]


def test_what_a_job_throws_twice_is_the_loss_of_its_branch_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JVM that is killed again at the repeat, a store that goes away under the books: the other branches go on."""

    def thrown(step: Step, lake: Lake, so_far: object) -> Outcome:
        if step.job.writes == "bronze.a":
            raise ConnectionRefusedError(111, "Connection refused")
        return Outcome(step.job.writes, "published", 1, 1, 3, 3)

    monkeypatch.setattr(night_module, "_ran", thrown)
    (tmp_path / "job.py").write_text('"""A job."""')
    steps = tuple(Step(Job(writes=f"bronze.{name}", reads=("raw.x",)), tmp_path / "job.py") for name in "ab")
    settings = Settings(root=str(tmp_path / "lake"), home=tmp_path / "home")  # pyright: ignore[reportCallIssue]
    night = nightly(Lake(settings, open_store(settings)), only=("bronze.a", "bronze.b"), whole=Plan(steps))
    assert [(o.address, o.status) for o in night.outcomes] == [("bronze.a", "failed"), ("bronze.b", "published")]
    assert night.exit_code == 72
