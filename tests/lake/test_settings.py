"""Settings: the LAKE_* environment in one spelling, secrets unseen, and the project that a folder lies in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lake.errors import SettingsWrong
from lake.settings import Settings, project_root, reached


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LAKE_ROOT", "LAKE_HOME", "LAKE_ENDPOINT", "LAKE_PROJECT", "LAKE_SAMPLES", "LAKE_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("s3a://lake", "s3a://lake"),
        ("s3://lake/east/", "s3a://lake/east"),
        ("s3n://lake", "s3a://lake"),
        ("/data/my lake/", "/data/my lake"),
        ("file:///data/lake", "/data/lake"),
    ],
)
def test_a_root_has_one_spelling(monkeypatch: pytest.MonkeyPatch, written: str, root: str) -> None:
    monkeypatch.setenv("LAKE_ROOT", written)
    assert Settings.load().root == root


def test_a_relative_root_is_below_the_folder_of_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAKE_ROOT", "here")
    assert Settings.load().root == str(tmp_path / "here")


@pytest.mark.parametrize("root", ["/", "s3a://", "file:///", "gs://lake", "hdfs://host/lake"])
def test_a_root_that_is_no_place_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.setenv("LAKE_ROOT", root)
    with pytest.raises(SettingsWrong, match="LAKE_ROOT"):
        Settings.load()


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAKE_ROOT", "LAKE_ENDPOINT", "LAKE_SAMPLES", "LAKE_HOME"):
        monkeypatch.setenv(name, "")
    settings = Settings.load()
    assert (settings.root, settings.endpoint, settings.samples, settings.home) == ("s3a://lake", None, None, None)


def test_a_wrong_value_is_named_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_SINGLE_WRITER", "hunter2")
    with pytest.raises(SettingsWrong, match="LAKE_SINGLE_WRITER") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)


def test_no_secret_shows_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("LAKE_SECRET_KEY", "wJalrXUtnFEMI")
    settings = Settings.load()
    assert settings.secret_key and settings.secret_key.get_secret_value() == "wJalrXUtnFEMI"
    assert not any(secret in f"{settings} {settings!r}" for secret in ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"))


@pytest.mark.parametrize(
    ("environment", "embedded"),
    [
        ({}, True),
        ({"LAKE_ROOT": "s3a://lake/east"}, True),
        ({"LAKE_ROOT": "s3a://other"}, False),
        ({"LAKE_ENDPOINT": "http://127.0.0.1:9000"}, False),
        ({"LAKE_ACCESS_KEY": "key"}, False),
        ({"LAKE_ROOT": "/data/lake"}, False),
    ],
)
def test_the_embedded_server_is_meant_when_nobody_names_another(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], embedded: bool) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().embedded is embedded


def test_settings_do_not_change_under_a_run() -> None:
    with pytest.raises(ValidationError):
        Settings.load().root = "/elsewhere"


def test_local_state_is_in_the_project_unless_it_has_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path / "project"))
    assert Settings.load().state == tmp_path / "project" / ".lake"
    monkeypatch.setenv("LAKE_HOME", "state")
    assert Settings.load().state == tmp_path / "state"


def test_the_project_is_the_nearest_folder_upwards_with_a_lake_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "no project" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "pyproject.toml").write_text("[tool.lake]\n")
    (inner.parent / "pyproject.toml").write_text("[tool.ruff]\n")
    assert project_root(inner) == tmp_path / "outer"
    (inner / "pyproject.toml").write_text("[tool.lake]\n")
    assert project_root(inner) == inner
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path))
    assert project_root(inner) == tmp_path  # named outright


def test_outside_of_any_project_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match="is not inside a Millrace project") as caught:
        project_root(tmp_path)
    assert "LAKE_PROJECT" in caught.value.next_step


def test_a_pyproject_that_does_not_parse_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.lake\n")
    with pytest.raises(SettingsWrong, match=r"pyproject\.toml is not TOML"):
        project_root(tmp_path)


@settings(deadline=None)
@given(
    scheme=st.sampled_from(["", "/", "s3://", "s3a://", "s3n://", "file:///"]),
    parts=st.lists(st.text("abc-_ é.", min_size=1).filter(lambda p: p.strip(". ")), min_size=1, max_size=4),
    slashes=st.integers(0, 3),
)
def test_a_root_read_back_is_the_same_root(scheme: str, parts: list[str], slashes: int) -> None:
    root = Settings(root=scheme + "/".join(parts) + "/" * slashes).root
    assert Settings(root=root).root == root
    assert root.endswith("/".join(parts))
    assert root.startswith("s3a://") is scheme.startswith("s3")


def test_a_named_point_holds_until_it_is_let_go_and_no_other_point_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    go_on = tmp_path / "go on"
    monkeypatch.setenv("LAKE_HOLD_AT", "staged:silver.texts,published:gold.totals")
    monkeypatch.setenv("LAKE_HOLD_UNTIL", str(go_on))
    reached("staged:silver.text")
    reached("committed:silver.texts")
    assert capfd.readouterr().out == ""
    for point in ("staged:silver.texts", "published:gold.totals"):
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(reached, point)
            with pytest.raises(TimeoutError):
                held.result(0.2)
            go_on.touch()
            held.result(10)
        assert capfd.readouterr().out == f"holding at {point}\n"
        assert not go_on.exists()  # each hold is let go by itself
