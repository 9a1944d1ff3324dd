"""Doctor: what a lake needs on this machine, checked by trying; each finding says what to type where something is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import LakeError
from lake.settings import Settings, project_root

_JAVA = 17  # Spark 4.2 starts on no older one


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    next_step: str = ""


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that a night needs, one finding each; nothing is changed but a probe object that is removed again."""
    for look in (_python, _java, _jars, _project, _keys, _store, _base_model):
        try:
            yield look(settings)
        except LakeError as error:
            yield Finding(error.what, False, error.next_step)
        except OSError as error:
            yield Finding(str(error), False, "mend that place or its rights")


def _python(settings: Settings) -> Finding:
    del settings
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(f"Python {version}", sys.version_info[:2] == (3, 11), "use Python 3.11: petastorm 0.13.1 needs distutils, gone in 3.12")


def _java(settings: Settings) -> Finding:
    del settings
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).is_file():
        return Finding(f"no Java {f'in JAVA_HOME ({home})' if home else 'on PATH'}", False, f"apt-get install openjdk-{_JAVA}-jre-headless")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    version = int(found[1]) if found else 0
    return Finding(f"Java {version} ({java})", version >= _JAVA, f"apt-get install openjdk-{_JAVA}-jre-headless")


def _jars(settings: Settings) -> Finding:
    conf = settings.state / "conf" / "spark-defaults.conf"
    return Finding(f"Spark's settings and jars ({conf})", conf.is_file(), "make set-up")


def _project(settings: Settings) -> Finding:
    from lake.plan import plan

    del settings
    whole = plan()
    return Finding(f"project {project_root()}: {len(whole.steps)} jobs, {len(whole.raw())} sources", True)


def _keys(settings: Settings) -> Finding:
    path = settings.pii_key_file or settings.state / "keys" / "pii"
    if os.environ.get("LAKE_PII_KEY"):
        return Finding("key of personal-data tokens: LAKE_PII_KEY", True)
    if not path.is_file():
        return Finding(f"no key of personal-data tokens ({path})", False, "make set-up")
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


def _base_model(settings: Settings) -> Finding:
    from lake.models.base import base_folder

    del settings
    folder: Callable[[], Path] = base_folder
    return Finding(f"base model {folder()}", True)
