"""Doctor: what is missing on this machine is found by trying, and said with what to type."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import doctor
from lake.columns.keys import make_key
from lake.doctor import Finding, findings
from lake.settings import Settings
from lake.store import Store
from tests.lake.project import write_project


def finding(name: str) -> Finding:
    """The finding that begins with a name, in the environment as it is."""
    return next(f for f in findings(Settings.load()) if name in f.what)


def java(folder: Path, version: str) -> Path:
    """A JAVA_HOME whose java says that it is of a version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.fixture
def healthy(lake_env: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A place that lacks nothing, by what can be seen of it."""
    home = tmp_path / "home"
    make_key(home / "keys" / "pii")
    if lake_env.on_s3:
        (home / "s3").symlink_to(lake_env.state / "s3")  # the suite's own server
    monkeypatch.setenv("LAKE_HOME", str(home))
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "jdk", "17.0.9")))
    return Settings.load()


def test_a_place_that_lacks_nothing_has_only_good_findings(healthy: Settings) -> None:
    found = list(findings(healthy))
    assert [f for f in found if not f.fine] == []
    assert len(found) == 8
    assert next(f.what for f in found if "store" in f.what) == f"store {healthy.root}: refuses a second conditional write"


def test_nothing_is_left_by_looking(healthy: Settings, store: Store) -> None:
    list(findings(healthy))
    assert list(store.keys()) == []


@pytest.mark.parametrize(
    ("version", "fine"),
    [("1.8.0_402", False), ("11.0.22", False), ("17", True), ("17.0.9", True), ("21.0.2", True), ("26-ea", True)],
)
def test_java_is_17_or_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, fine: bool) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    assert finding("Java").fine is fine
    assert "openjdk-17" in finding("Java").next_step and "openjdk-21" in finding("Java").next_step


@settings(max_examples=10, deadline=None)
@given(major=st.integers(9, 99), minor=st.integers(0, 99))
def test_every_java_is_judged_by_its_first_number(major: int, minor: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(java(Path(folder), f"{major}.0.{minor}")))
        assert doctor._java() == Finding(f"Java {major} ({folder}/bin/java)", major >= 17, doctor._INSTALL_JAVA)


@pytest.mark.parametrize(("home", "told"), [("/none/such", "no Java in JAVA_HOME (/none/such)"), (None, "no Java on PATH")])
def test_a_missing_java_is_a_finding_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None, told: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", home) if home else monkeypatch.delenv("JAVA_HOME", raising=False)
    assert (finding("Java").what, finding("Java").fine) == (told, False)


def test_the_key_of_the_tokens_is_nobody_elses(healthy: Settings) -> None:
    key = healthy.state / "keys" / "pii"
    key.chmod(0o644)
    assert (finding("key of personal-data tokens").fine, finding("key of personal-data tokens").next_step) == (False, f"chmod 600 {key}")


def test_a_home_without_a_key_has_the_one_of_the_project(healthy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where there is none at all, none is made: a lake's tokens would change without a word."""
    own = healthy.state / "keys" / "pii"
    own.unlink()
    project = write_project(tmp_path / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(project))
    assert f"openssl rand -hex 32 > {own}" in finding("no key of personal-data tokens").next_step
    shared = make_key(project / ".lake" / "keys" / "pii")
    assert finding("key of personal-data tokens") == Finding(f"key of personal-data tokens ({shared})", True, f"chmod 600 {shared}")


def test_a_home_elsewhere_has_the_jars_of_the_checkout(healthy: Settings) -> None:
    assert sorted(p.name for p in healthy.state.iterdir() if p.name != "s3") == ["keys"]
    assert finding("Spark's settings").fine


@pytest.mark.parametrize("harm", ["gone", "other bytes"])
def test_a_jar_that_is_not_as_committed_is_named(healthy: Settings, harm: str) -> None:
    place = healthy.state / "jars"
    shutil.copytree(healthy.installed("jars"), place)
    assert finding("Spark's settings").fine
    (jar,) = place.glob("spark/delta-spark_*.jar")
    jar.unlink() if harm == "gone" else jar.write_bytes(b"half of it")
    assert (finding(jar.name).fine, "set-up" in finding(jar.name).next_step) == (False, True)


def test_a_place_that_was_never_set_up_is_told_so(healthy: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lake.settings.CHECKOUT", tmp_path)
    monkeypatch.setenv("LAKE_PROJECT", str(write_project(tmp_path / "project")))
    assert (finding("no settings of Spark").fine, "set-up" in finding("no settings of Spark").next_step) == (False, True)


def test_settings_that_do_not_parse_are_a_finding_by_name_alone(healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ROOT", "gs://hush")
    monkeypatch.setenv("LAKE_SINGLE_WRITER", "hush")
    wrong = [f for f in findings() if not f.fine]
    assert len(wrong) == 1 and "hush" not in repr(wrong)
    assert "LAKE_ROOT" in wrong[0].what and "LAKE_SINGLE_WRITER" in wrong[0].what


def test_a_project_that_does_not_stand_is_a_finding(healthy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write_project(tmp_path / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(project))
    assert finding("project /") == Finding(f"project {project}: 4 jobs, 1 sources", True)
    (project / "jobs" / "gold" / "daily.py").write_text("JOB = Job(writes=NAME)\n")
    assert not finding("JOB must be a literal").fine


def test_one_driver_may_use_a_store_without_conditions(healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "honours_conditions", lambda self: False)
    assert not finding("honour" if healthy.on_s3 else "does not refuse").fine
    monkeypatch.setenv("LAKE_SINGLE_WRITER", "1")
    assert finding("does not refuse").fine


def test_a_store_that_can_not_be_written_is_a_finding(healthy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "file"))
    assert [f.fine for f in findings(Settings.load())].count(False) == 1


@pytest.mark.parametrize(
    ("told", "on", "fine", "said"),
    [
        ("", "", True, "alerts: none; LAKE_ALERTS names who is told of a refused batch"),
        ("json://127.0.0.1:1/hush", "", True, "alerts of what is refused or fails, and of warnings: JSON   (try them: lake doctor --alert)"),
        ("json://127.0.0.1:1/hush", "refused", True, "alerts of what is refused or fails: JSON   (try them: lake doctor --alert)"),
        ("nosuch://hush", "", False, "address 1 of LAKE_ALERTS is none that Apprise knows"),
    ],
)
def test_who_is_told_is_named_without_an_address(
    healthy: Settings, monkeypatch: pytest.MonkeyPatch, told: str, on: str, fine: bool, said: str
) -> None:
    monkeypatch.setenv("LAKE_ALERTS", told)
    monkeypatch.setenv("LAKE_ALERT_ON", on)
    found = finding("alerts" if fine else "address")
    assert (found.what, found.fine) == (said, fine)


def test_a_trial_message_that_does_not_go_is_a_finding(healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.told().what == "LAKE_ALERTS is not set: nobody is told"
    monkeypatch.setenv("LAKE_ALERTS", "json://127.0.0.1:1/hush")
    found = doctor.told()
    assert (found.what, found.fine) == ("address 1 of LAKE_ALERTS (JSON) could not be told: no connection", False)
