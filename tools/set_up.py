"""Set up this checkout: the Python environment from its lock, the jars, the configuration, the keys. Afterwards nothing needs the network.

Run by `make set-up`, on the system's Python 3.11 and its standard library alone. A later run returns at once, unless what a step was made from
has changed. Nothing is written outside the checkout, apart from the package managers' own caches.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / ".lake"
VENV = PROJECT / ".venv"
CONF = PROJECT / "conf"
LOG_STORE = PROJECT / "lake" / "logstore" / "millrace-logstore.jar"
TEMPLATES = tuple(CONF / name for name in ("spark-defaults.conf", "spark-env.sh", "log4j2.properties"))
IVY = "ivy-2.5.3.jar"  # Apache Ivy, which comes inside PySpark 4.2
SERVER_JAVA = 17  # Spark 4.2 needs 17 or newer
# For systems that package no 3.11; pipx is a package of theirs, and what uv brings lies in the user's own ~/.local.
OWN_PYTHON = "pipx run uv python install 3.11     then: make set-up PYTHON=~/.local/bin/python3.11"


class Stop(Exception):
    """Why set-up cannot go on, and the line to type."""


def main() -> int:
    """Do the steps whose inputs have changed since they were last done."""
    try:
        python_is_right()
        place_is_right()
        STATE.mkdir(exist_ok=True)
        with open(STATE / "set-up.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` waits, and then finds all done
            set_up()
    except Stop as stop:
        print(f"set-up: {stop}", file=sys.stderr)
        return 64
    except subprocess.CalledProcessError as error:
        print(f"set-up: {' '.join(map(str, error.cmd[:4]))} ... failed (exit {error.returncode}); its own words are above.\n"
              "  next: mend that (is the network there?) and run it again: what is done stays done", file=sys.stderr)  # fmt: skip
        return 69
    return 0


def set_up() -> None:
    """The steps in order; each is a name, what it is made from, what must be there when it is done, and its function."""
    done = stamps()
    java = java_is_right(done.get("java"))
    steps = (
        ("environment", digest(PROJECT / "requirements.lock", CONF / "uv.txt"), VENV / "bin" / "python", environment),
        ("lake", digest(PROJECT / "pyproject.toml"), VENV / "bin" / "lake", own_package),
        ("jars", digest(CONF / "jars.xml", CONF / "jars.sha256"), STATE / "jars" / "spark", jars),
        ("configuration", digest(*TEMPLATES, CONF / "jars.sha256"), STATE / "conf" / "spark-defaults.conf", configuration),
        ("keys", "1", STATE / "keys" / "pii", keys),
    )  # fmt: skip
    began, received = time.monotonic(), bytes_received()
    worked = False
    for name, made_from, result, step in steps:
        if done.get(name) == made_from and result.exists():
            continue
        if name == "environment":
            done.pop("lake", None)  # a sync takes it away
        done.pop(name, None)
        write_stamps(done)
        start = time.monotonic()
        said = step(java)
        done[name] = made_from
        worked = True
        print(f"set-up: {name}: {said}, {time.monotonic() - start:.1f} s", flush=True)
    if worked or done.get("java") != java:
        done["java"] = java
        write_stamps(done)
    if worked:
        now = bytes_received()
        volume = f", {(now - received) / 1e6:,.0f} MB received over the network" if received is not None and now is not None else ""
        print(f"set-up: done in {time.monotonic() - began:.1f} s{volume}; later commands start without it")


def python_is_right() -> None:
    """Python 3.11, not less and not more: petastorm imports distutils, which is gone in 3.12."""
    if sys.version_info[:2] != (3, 11):
        line = by_system(
            "sudo apt-get install python3.11 python3.11-venv", "sudo dnf install python3.11", "brew install python@3.11",
            "install Python 3.11",
        )  # fmt: skip
        other = f"\n  or, where that has no 3.11 (Debian 13, Ubuntu 24.04 ...): {OWN_PYTHON}"
        raise Stop(
            f"Python 3.11 is needed and this is {sys.version.split()[0]} ({sys.executable}).\n"
            f"  next: {line}     then: make set-up PYTHON=python3.11{other}"
        )


def place_is_right() -> None:
    """A path without blanks and commas: Spark's own start scripts and its lists of jars break on them."""
    if set(str(PROJECT)) & set(" ,\t\"'$"):
        raise Stop(
            f"Spark does not start from a folder with a blank, a comma, a quote or a $ in its path: {PROJECT}\n  next: move the checkout elsewhere"
        )


def java_is_right(known: str | None) -> str:
    """The path of a Java that Spark can run on; one that was asked before is not asked again."""
    line = by_system(
        "sudo apt-get install openjdk-17-jre-headless     (where there is none, as in Debian 13: openjdk-21-jre-headless)",
        "sudo dnf install java-21-openjdk-headless", "brew install openjdk@17",
        "install Java 17 or newer (a JRE will do), and put it on PATH or in JAVA_HOME",
    )  # fmt: skip
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        where = f"JAVA_HOME is {home}, and there is no bin/java in it" if home else "there is no `java` on PATH"
        raise Stop(f"Java {SERVER_JAVA} or newer is needed, and {where}.\n  next: {line}")
    if str(Path(java).resolve()) == known:
        return str(known)
    said = subprocess.run([java, "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r'version "(?:1\.)?(\d+)', said.stdout)
    if said.returncode or not found:
        raise Stop(f"Java {SERVER_JAVA} or newer is needed, and {java} does not run: {said.stdout.strip()[:200]}\n  next: {line}")
    if int(found.group(1)) < SERVER_JAVA:
        raise Stop(
            f"Java {SERVER_JAVA} or newer is needed, and {java} is Java {found.group(1)}.\n  next: {line}     (JAVA_HOME chooses among several)"
        )
    return str(Path(java).resolve())


def by_system(apt: str, dnf: str, brew: str, other: str) -> str:
    """The line to type on this system."""
    return next((line for tool, line in (("apt-get", apt), ("dnf", dnf), ("brew", brew)) if shutil.which(tool)), other)


def environment(java: str) -> str:
    """.venv, exactly as the lock says, each file by its hash."""
    uv = find_uv()
    if not runs_right(VENV / "bin" / "python"):
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV)
    print("set-up: Python packages from requirements.lock (the first time 4 GB on Linux: torch brings CUDA) ...", flush=True)
    run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", VENV / "bin" / "python", PROJECT / "requirements.lock")
    return f"{sum(1 for _ in site_packages().glob('*.dist-info'))} Python packages"


def own_package(java: str) -> str:
    """`lake` itself, editable; what builds it is in the lock, so nothing is fetched."""
    run(
        find_uv(),
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--no-build-isolation",
        "--python",
        VENV / "bin" / "python",
        "--editable",
        PROJECT,
    )
    return "installed, editable"


def find_uv() -> Path:
    """uv: the one on PATH, or one that pip brings into .lake/uv, checked by its hash."""
    own = STATE / "uv" / "bin" / "uv"
    if own.exists():
        return own
    on_path = shutil.which("uv")
    if on_path:
        said = subprocess.run([on_path, "--version"], stdout=subprocess.PIPE, text=True).stdout
        found = re.search(r"uv (\d+)\.(\d+)", said)
        if found and (int(found.group(1)), int(found.group(2))) >= (0, 8):  # the first with `venv --clear`
            return Path(on_path)
    made = subprocess.run([sys.executable, "-m", "venv", str(STATE / "uv")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode:
        shutil.rmtree(STATE / "uv", ignore_errors=True)
        line = by_system(
            "sudo apt-get install python3.11-venv",
            "sudo dnf install python3.11-pip",
            "brew reinstall python@3.11",
            "install pip and venv for Python 3.11",
        )
        raise Stop(f"{sys.executable} -m venv failed: {made.stdout.strip()[-300:]}\n  next: {line}     (or install uv, any way you like)")
    run(STATE / "uv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", CONF / "uv.txt")
    return own


def jars(java: str) -> str:
    """The jars of conf/jars.xml, by the Ivy that PySpark brings; none is used before its sha256 is as committed."""
    lines = (line.split() for line in (CONF / "jars.sha256").read_text().splitlines())
    wanted = {name: sha256 for sha256, name in lines}
    place = STATE / "jars"
    if not wrong_jars(place, wanted):
        return f"{len(wanted)} jars were there"
    fresh = STATE / "jars.new"
    shutil.rmtree(fresh, ignore_errors=True)
    print("set-up: jars from conf/jars.xml (82 MB) ...", flush=True)
    ivy = site_packages() / "pyspark" / "jars" / IVY
    with open(STATE / "ivy.log", "wb") as log:
        # Ivy starts every line of its own with a blank or a colon, thousands of them: they go to a file, and its end is shown when it fails.
        ended = subprocess.run(
            [java, "-jar", str(ivy), "-ivy", str(CONF / "jars.xml"), "-cache", str(STATE / "ivy"),
             "-retrieve", str(fresh / "[conf]" / "[artifact]-[revision](-[classifier]).[ext]")],
            stdout=log, stderr=log,
        )  # fmt: skip
    wrong = wrong_jars(fresh, wanted)
    if ended.returncode or wrong:
        tail = "\n".join((STATE / "ivy.log").read_text(errors="replace").splitlines()[-15:])
        detail = f"not as committed in conf/jars.sha256: {', '.join(wrong[:5])}" if wrong else f"Ivy ended with {ended.returncode}"
        raise Stop(f"the jars could not be brought: {detail}\n{tail}\n  next: rm -r {STATE / 'ivy'}; make set-up")
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    shutil.rmtree(STATE / "ivy", ignore_errors=True)
    return f"{len(wanted)} jars, {sum((place / name).stat().st_size for name in wanted) / 1e6:.0f} MB"


def wrong_jars(place: Path, wanted: dict[str, str]) -> list[str]:
    """Which jars are missing in a folder, or are other bytes than committed, or should not be there."""
    there = {file.relative_to(place).as_posix() for file in place.rglob("*.jar")}
    bad = {name for name, sha256 in wanted.items() if name not in there or digest(place / name) != sha256}
    return sorted(bad | (there - set(wanted)))


def configuration(java: str) -> str:
    """.lake/conf, which Spark reads at every start: also a plain spark-submit, since PySpark's own conf folder is a link to it."""
    made = STATE / "conf"
    scratch = STATE / "spark"
    for folder in (made, scratch):
        folder.mkdir(exist_ok=True)
    places = {
        "{jars}": ",".join(map(str, [*sorted((STATE / "jars" / "spark").glob("*.jar")), LOG_STORE])),
        "{python}": str(VENV / "bin" / "python"),
        "{driver_memory}": os.environ.get("LAKE_DRIVER_MEMORY", "3g"),
        "{tmp}": str(scratch),
    }
    for template in TEMPLATES:
        text = template.read_text()
        for mark, value in places.items():
            text = text.replace(mark, value)
        (made / template.name).write_text(text)
    link = site_packages() / "pyspark" / "conf"
    if link.is_symlink() or not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(made)
    return "written to .lake/conf"


def keys(java: str) -> str:
    """The key of the personal-data tokens, which only this user can read."""
    place = STATE / "keys" / "pii"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    if place.exists():
        return "were there"
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secrets.token_hex(32))
    return "made in .lake/keys"


def runs_right(python: Path) -> bool:
    """Whether an environment is there, on the Python that we want and where it was made (a moved one is not)."""
    try:
        # sys.prefix follows a move; the scripts do not, and activate is the one that says the place in one line.
        if not re.search(rf"VIRTUAL_ENV=['\"]?{re.escape(str(VENV))}['\"]?$", python.with_name("activate").read_text(), re.MULTILINE):
            return False
        said = subprocess.run([str(python), "-c", "import sys; print(sys.version_info[:2], sys.prefix)"], stdout=subprocess.PIPE, text=True)
    except OSError:
        return False
    return said.stdout.strip() == f"(3, 11) {VENV}"


def site_packages() -> Path:
    """Where .venv has its packages."""
    return VENV / "lib" / "python3.11" / "site-packages"


def digest(*files: Path) -> str:
    """The sha256 of one file, or one of several in order."""
    each = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def stamps() -> dict[str, str]:
    """What each step was made from when it was last done; nothing of it counts in a checkout that was moved."""
    try:
        done = json.loads((STATE / "set-up.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return done if done.get("project") == str(PROJECT) else {}


def write_stamps(done: dict[str, str]) -> None:
    """Replace the stamps whole."""
    fresh = STATE / "set-up.json.new"
    fresh.write_text(json.dumps({**done, "project": str(PROJECT)}, indent=1))
    fresh.replace(STATE / "set-up.json")


def bytes_received() -> int | None:
    """What this machine has received on all its networks but its own loop; None where it does not tell."""
    try:
        lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    except OSError:
        return None
    return sum(int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if name.strip() != "lo")


def run(*command: object) -> None:
    """Run a command with its output shown; VIRTUAL_ENV of somebody else's is left out."""
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    subprocess.run(list(map(str, command)), check=True, env=env, cwd=PROJECT)


if __name__ == "__main__":
    sys.exit(main())
