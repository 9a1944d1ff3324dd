"""Build millrace-logstore.jar from the Java beside it, the same bytes every time: `python -m lake.logstore.build`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
JAR = HERE / "millrace-logstore.jar"
SOURCES = tuple(sorted(HERE.glob("*.java")))
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold


def javac() -> Path | None:
    """The Java compiler, where there is one (a JRE has none)."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("javac", path=str(Path(home, "bin")) if home else None)
    return Path(found) if found else None


def compiler_version(compiler: Path) -> int:
    """The compiler's major version."""
    said = subprocess.run([compiler, "-version"], capture_output=True, text=True, check=True)
    found = re.search(r"javac (\d+)", said.stdout + said.stderr)
    return int(found[1]) if found else 0


def build(jar: Path, compiler: Path, classpath: list[Path]) -> None:
    """Compile for Java 17 and pack, without a time of day in it."""
    with tempfile.TemporaryDirectory() as classes:
        # -proc:none: jars on the classpath may bring annotation processors, which are no business of ours.
        subprocess.run(
            [compiler, "--release", "17", "-proc:none", "-nowarn", "-d", classes, "-cp", os.pathsep.join(map(str, classpath)), *SOURCES],
            check=True,
        )
        with zipfile.ZipFile(jar, "w", zipfile.ZIP_STORED) as packed:
            _add(packed, "META-INF/MANIFEST.MF", manifest(compiler_version(compiler)))
            for file in sorted(Path(classes).rglob("*.class")):
                _add(packed, file.relative_to(classes).as_posix(), file.read_bytes())


def manifest(version: int) -> bytes:
    """What the jar says of itself: the digest of its sources, so that a stale jar shows without a compiler."""
    lines = ["Manifest-Version: 1.0", f"Build-Jdk-Spec: {version}", f"Sources-Sha256: {sources_digest()[:40]}"]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def sources_digest() -> str:
    """One digest of all the Java sources."""
    return hashlib.sha256(b"\0".join(source.name.encode() + b"\0" + source.read_bytes() for source in SOURCES)).hexdigest()


def classpath(jars: Path) -> list[Path]:
    """The jars to compile against: PySpark's own, and those in `jars`."""
    import pyspark

    return [*sorted((Path(pyspark.__file__).parent / "jars").glob("*.jar")), *sorted(jars.glob("*.jar"))]


def _add(packed: zipfile.ZipFile, name: str, body: bytes) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    packed.writestr(entry, body)


if __name__ == "__main__":
    from lake.settings import Settings

    found = javac()
    if found is None:
        sys.exit("there is no javac: install a JDK (Debian: apt-get install openjdk-17-jdk-headless)")
    build(JAR, found, classpath(Settings.load().installed("jars/spark")))
    print(f"{JAR}: {JAR.stat().st_size} bytes")
