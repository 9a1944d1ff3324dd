"""Doctor: what a lake needs on this machine, checked by trying; each finding says what to type where something is missing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lake.columns.keys import key_file
from lake.errors import LakeError, SettingsWrong
from lake.settings import CHECKOUT, Settings, project_root

_JAVA = 17  # Spark 4.2 starts on no older one
_INSTALL_JAVA = f"sudo apt-get install openjdk-{_JAVA}-jre-headless     (where there is none, as in Debian 13: openjdk-21-jre-headless)"
_ALERTS = "export LAKE_ALERTS='mailto://user:password@example.org slack://...'   # https://appriseit.com/services lists what there is"
_SET_UP = f"make -C {CHECKOUT} set-up"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    next_step: str = ""


def findings(settings: Settings | None = None) -> Iterator[Finding]:
    """Everything that a night needs, one finding each; nothing is changed but a probe object that is removed again.

    Settings are those of the environment; where they do not parse, that is a finding too, by their names, and ends the look.
    """
    yield _tried(_python)
    yield _tried(_java)
    try:
        settings = settings or Settings.load()
    except SettingsWrong as error:
        yield Finding(error.what, False, error.next_step)
        return
    for look in (_jars, _project, _keys, _store, _alerts, _base_model):
        yield _tried(partial(look, settings))


def told() -> Finding:
    """A message to every address of LAKE_ALERTS, and whether it went."""
    from lake.alerts import addresses, send

    settings = Settings.load()
    if not addresses(settings):
        return Finding("LAKE_ALERTS is not set: nobody is told", False, _ALERTS)
    body = f"This is what an alert of the lake {settings.root} looks like. Nothing is wrong."
    problems = send(settings, "Millrace: a trial message", body, grave=False)
    return Finding("; ".join(problems) or f"a trial message went to {len(addresses(settings))} of LAKE_ALERTS", not problems, _ALERTS)


def _tried(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except LakeError as error:
        return Finding(error.what, False, error.next_step)
    except OSError as error:
        return Finding(str(error), False, "mend that place or its rights")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(f"Python {version}", sys.version_info[:2] == (3, 11), "use Python 3.11: petastorm 0.13.1 needs distutils, gone in 3.12")


def _java() -> Finding:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).is_file():
        return Finding(f"no Java {f'in JAVA_HOME ({home})' if home else 'on PATH'}", False, _INSTALL_JAVA)
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    version = int(found[1]) if found else 0
    return Finding(f"Java {version} ({java})", version >= _JAVA, _INSTALL_JAVA)


def _jars(settings: Settings) -> Finding:
    """Every jar that Spark's settings name is there, and those that set-up brought are the bytes that are committed (0.2 s for 80 MB)."""
    conf = settings.installed("conf") / "spark-defaults.conf"
    if not conf.is_file():
        return Finding(f"no settings of Spark ({conf})", False, _SET_UP)
    line = re.search(r"^spark\.jars\s+(\S+)", conf.read_text(encoding="utf-8"), re.MULTILINE)
    named = [Path(jar) for jar in line[1].split(",")] if line else []
    place, committed = settings.installed("jars"), _committed()
    wrong = sorted({jar.name for jar in named if not jar.is_file()} | {name for name, sha256 in committed.items() if _sha256(place / name) != sha256})
    if wrong:
        return Finding(f"jars that are missing or not as committed ({place}): {', '.join(wrong)}", False, f"rm -r {place}; {_SET_UP}")
    return Finding(f"Spark's settings and its {len(named)} jars ({conf})", True)


def _committed() -> dict[str, str]:
    """The jars of set-up with their sha256, as the checkout has them; of a package without a checkout nothing is known."""
    try:
        lines = (CHECKOUT / "conf" / "jars.sha256").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: sha256 for sha256, name in (line.split() for line in lines)}


def _sha256(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _project(settings: Settings) -> Finding:
    from lake.plan import plan

    del settings
    whole = plan()
    return Finding(f"project {project_root()}: {len(whole.steps)} jobs, {len(whole.raw())} sources", True)


def _keys(settings: Settings) -> Finding:
    del settings
    if os.environ.get("LAKE_PII_KEY"):
        return Finding("key of personal-data tokens: LAKE_PII_KEY", True)
    path = key_file()
    if not path.is_file():
        made = f"(umask 077; mkdir -p {path.parent}; openssl rand -hex 32 > {path})"
        return Finding(f"no key of personal-data tokens ({path})", False, made)
    private = path.stat().st_mode & 0o077 == 0
    return Finding(f"key of personal-data tokens ({path})", private, f"chmod 600 {path}")


def _store(settings: Settings) -> Finding:
    from lake.lake import Lake

    with Lake.open() as lake:
        safe = lake.store.honours_conditions()
    what = f"store {settings.root}: {'refuses' if safe else 'does not refuse'} a second conditional write"
    if settings.single_writer and not safe:
        return Finding(f"{what}; LAKE_SINGLE_WRITER says that one driver is all there is", True)
    return Finding(what, safe, "one driver only: export LAKE_SINGLE_WRITER=1")


def _alerts(settings: Settings) -> Finding:
    from lake.alerts import addresses, services

    if not addresses(settings):
        return Finding("alerts: none; LAKE_ALERTS names who is told of a refused batch", True)
    names, wrong = services(settings)
    on = "of what is refused or fails, and of warnings" if settings.alert_on == "warning" else "of what is refused or fails"
    return Finding("; ".join(wrong) or f"alerts {on}: {', '.join(names)}   (try them: lake doctor --alert)", not wrong, _ALERTS)


def _base_model(settings: Settings) -> Finding:
    from lake.models.base import base_folder

    del settings
    folder: Callable[[], Path] = base_folder
    return Finding(f"base model {folder()}", True)
