"""Docs: what the README and the guides name is there: commands and their options, make targets, files, links, settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import typer.main
from deltalake import write_deltalake

from lake import server
from lake.cli import app
from lake.settings import Settings
from lake.store import open_store

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {
    name: {option for part in (command, *getattr(command, "commands", {}).values()) for p in part.params for option in p.opts}
    for name, command in typer.main.get_command(app).commands.items()
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)[^)]*\)")
# A path as a person writes one; <zone>, {name}, * and ... mark a pattern, $X and ~ a place of the reader's own.
PATH = re.compile(r"(?<![\w./$~:{<-])(?:[\w.-]+/)+[\w.*-]*|(?<![\w./-])[\w-]+\.(?:md|toml|yaml|py|lock|sh)\b(?![/(])")
# What a run or set-up makes is not in a checkout; the section that shows how to add something names what is not there yet.
MADE = (".lake/", ".venv/", ".venv", ".lake")
NEW = re.compile(r"^#+ Add .*?(?=^#+ |\Z)", re.DOTALL | re.MULTILINE | re.IGNORECASE)


def text_of(path: Path) -> str:
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing: who comes here finds no way in"
    return path.read_text(encoding="utf-8")


def code(text: str) -> Iterator[str]:
    """Lines of code in a page, comments apart: of its blocks, and what stands between backticks."""
    for block in FENCE.finditer(text):
        yield from (re.sub(r"(^|\s)#.*", "", line) for line in block[0].splitlines()[1:-1])
    yield from SPAN.findall(FENCE.sub("", text))


def unknown_commands(text: str) -> list[str]:
    """`lake` commands and options, and `make` targets, that do not exist."""
    found = []
    for line in code(text):
        for name, rest in re.findall(r"(?:^|[\s/(])(?<!from )lake ([a-z][\w-]*)([^|;&`]*)", line):
            if name not in COMMANDS:
                found.append(f"lake {name}")
            else:
                bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", rest)
                found += [f"lake {name} {option}" for option in re.findall(r"(?<!\S)(--[\w-]+)", bare) if option not in COMMANDS[name] | {"--help"}]
        found += [f"make {target}" for target in re.findall(r"(?:^|[\s(])make ([a-z-]+)", line) if target not in TARGETS]
    return found


def missing_paths(text: str) -> list[str]:
    """Files and folders of this repository that the code of a page names, and that are not there."""
    tops = {p.name for p in ROOT.iterdir()}
    found = []
    for line in code(NEW.sub("", text)):
        for path in PATH.findall(re.sub(r"\S*[<>{}$…]\S*|\S*\.\.\.\S*|\S+://\S+", "", line)):
            plain = path.strip("./") if path.startswith("./") else path.rstrip("/.")
            ours = plain.split("/")[0] in tops or ("/" not in plain and not plain.startswith("."))
            if ours and not path.startswith(MADE) and not _there(plain):
                found.append(path)
    return found


def _there(path: str) -> bool:
    """Whether a path or a pattern is in the repository; a bare file name may lie in any folder of it."""
    if "/" in path or (ROOT / path).exists():
        return any(ROOT.glob(path))
    return any(p.name == path for folder in ROOT.iterdir() if folder.is_dir() and folder.name[0] != "." for p in folder.rglob(path))


def broken_links(text: str, page: Path) -> list[str]:
    """Links to files or headings of this repository that lead nowhere."""
    found = []
    for link in LINK.findall(FENCE.sub("", text)):
        target, _, heading = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (heading and heading not in _anchors(text if file == page else file.read_text(encoding="utf-8"))):
            found.append(link)
    return found


def _anchors(text: str) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


def unknown_settings(text: str) -> list[str]:
    """LAKE_* variables that no line of the library reads."""
    known = {f"LAKE_{name.upper()}" for name in Settings.model_fields}
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "lake").rglob("*.py"))
    return [name for name in sorted(set(re.findall(r"\bLAKE_[A-Z_]*[A-Z]\b", text))) if name not in known and name not in source]


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    assert unknown_commands(text_of(page)) == []


# A decision also names what was weighed and left out.
@pytest.mark.parametrize("page", [d for d in DOCS if "decisions" not in d.parts], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert missing_paths(text_of(page)) == []


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(text_of(page), page) == []


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_setting_that_a_page_names_is_read(page: Path) -> None:
    assert unknown_settings(text_of(page)) == []


@pytest.mark.parametrize("reader", ["Polars", "DuckDB"])
def test_a_way_to_look_from_elsewhere_works_as_it_is_written(reader: str, tmp_path: Path) -> None:
    """With no server up: the page's own lines start it, and stop it when they have looked."""
    pytest.importorskip(reader.lower())
    (snippet,) = re.findall(rf"^```python\n(# {reader}\n.*?)^```", text_of(ROOT / "README.md"), re.DOTALL | re.MULTILINE)
    home = Settings(home=tmp_path)  # pyright: ignore[reportCallIssue]
    rows = pa.table({"sensor": ["office", "street"], "gaps": [2, 0], "maximum": [21.5, 30.25]})
    with server.running(home):
        store = open_store(home)
        write_deltalake(store.delta_uri("gold.sensor_hourly"), rows, storage_options=store.delta_options())
    env = {k: v for k, v in os.environ.items() if not k.startswith("LAKE_")} | {"LAKE_HOME": str(tmp_path), "LAKE_PROJECT": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert (ran.returncode, "21.5" in ran.stdout, "30.25" in ran.stdout) == (0, True, reader == "DuckDB"), ran.stdout + ran.stderr
    assert not server.down(home)


def test_the_readme_says_how_to_begin_and_how_to_go_on() -> None:
    lines = [line.strip() for line in code(text_of(ROOT / "README.md"))]
    assert {"make demo", "make test"} <= set(lines)
    assert re.search(r"^#+ Add ", text_of(ROOT / "README.md"), re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run `lake plan`, then\n```\nmake demo\n.venv/bin/lake sql 'select --x' --json  # lake fly\n```\nThe lake holds it.", []),
        ("```python\nfrom lake import Job\n```", []),
        ("`lake fly`", ["lake fly"]),
        ("`lake plan --wings`", ["lake plan --wings"]),
        ("```sh\nLAKE_ROOT=x .venv/bin/lake fly --far\n```", ["lake fly"]),
        ("`make coffee`", ["make coffee"]),
    ],
)
def test_a_command_that_does_not_exist_is_seen(text: str, told: list[str]) -> None:
    assert unknown_commands(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("`lake/plan.py`, `plan.py`, `jobs/`, `jobs/<zone>/<name>.py`, `.lake/s3`, `s3a://lake/raw`, `jobs/*/texts.py`, `and/or`", []),
        ("`lake/wings.py`", ["lake/wings.py"]),
        ("```\nspark-submit jobs/gold/wings.py\n```", ["jobs/gold/wings.py"]),
        ("`wings.toml`", ["wings.toml"]),
        ("## Add a table\n`jobs/gold/wings.py`\n## Next\n`jobs/gold/tail.py`", ["jobs/gold/tail.py"]),
    ],
)
def test_a_file_that_is_not_there_is_seen(text: str, told: list[str]) -> None:
    assert missing_paths(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# Two words\n[a](lake/plan.py) [b](#two-words) [c](https://example.org/x) [d](docs)", []),
        ("[a](lake/wings.py)", ["lake/wings.py"]),
        ("# Two words\n[a](#three-words)", ["#three-words"]),
    ],
)
def test_a_link_that_leads_nowhere_is_seen(text: str, told: list[str]) -> None:
    assert broken_links(text, ROOT / "README.md") == told


def test_a_setting_that_nobody_reads_is_seen() -> None:
    assert unknown_settings("LAKE_ROOT, LAKE_PII_KEY and LAKE_WINGS") == ["LAKE_WINGS"]
