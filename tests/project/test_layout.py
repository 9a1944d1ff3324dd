"""Layout: one address, one name everywhere: job, contract, expectations and test stand at the same path; a job file is one small story."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.contract import addresses
from lake.plan import Step, plan, read_step

ROOT = Path(__file__).resolve().parents[2]
STEPS = plan(ROOT).steps
LONGEST = 80  # lines: one screen and a half; what is longer hides a shared function
JUDGED = ("silver", "gold")  # bronze is as the source gave it: its contract's row rules are all that can be asked
WITHOUT_CONTRACT = ("models",)  # a model version is described by its card, not by columns

WRITING = frozenset({"write", "writeTo", "writeStream", "saveAsTable", "insertInto", "toTable", "readStream"})
BELOW = frozenset({"great_expectations", "boto3", "deltalake", "delta", "petastorm", "torch", "s3fs", "fsspec"})
PLACE = re.compile(r"^\w+://|^/\w|^\.{1,2}/|\.(csv|json|parquet|txt|log)$")


def at(folder: str, address: str, file: str = "{}.yaml") -> Path:
    """Where the file of an address stands below a folder of the project."""
    zone, name = address.split(".")
    return ROOT / folder / zone / file.format(name)


def every(zones: tuple[str, ...] | None = None) -> list[str]:
    return [s.job.writes for s in STEPS if zones is None or s.job.writes.split(".")[0] in zones]


def outside(source: str) -> Iterator[str]:
    """What a job file names that is `lake`'s business: a place, a way of writing, an engine below."""
    tree = ast.parse(source)
    words = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, ast.Module | ast.FunctionDef) and _documented(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words and PLACE.search(node.value):
            yield f"line {node.lineno}: the place {node.value!r}"
        if isinstance(node, ast.Attribute) and node.attr in WRITING:
            yield f"line {node.lineno}: writes by .{node.attr}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"line {node.lineno}: imports {name}" for name in names if name.split(".")[0] in BELOW or name.startswith("lake.gate"))


def _documented(node: ast.Module | ast.FunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def shape(source: str) -> list[str]:
    """The parts of a job file at its top level, imports apart: docstring, JOB, build or SPEC, main."""
    parts: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            parts += [target.id] if isinstance(target, ast.Name) and target.id in ("JOB", "SPEC") else []
        elif isinstance(node, ast.FunctionDef):
            parts += [node.name] if node.name == "build" else []
        elif isinstance(node, ast.If):
            parts.append(ast.unparse(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.append("docstring")
    return parts


@pytest.mark.parametrize("address", [a for a in every() if a.split(".")[0] not in WITHOUT_CONTRACT])
def test_every_job_has_a_contract(address: str) -> None:
    assert at("schemas", address).is_file()


@pytest.mark.parametrize("address", every())
def test_every_job_has_a_test(address: str) -> None:
    assert at("tests/jobs", address, "test_{}.py").is_file()


@pytest.mark.parametrize("address", every(JUDGED))
def test_every_silver_and_gold_table_has_expectations(address: str) -> None:
    assert at("expectations", address).is_file()


@pytest.mark.parametrize("address", plan(ROOT).raw())
def test_every_source_that_a_job_reads_has_a_contract(address: str) -> None:
    assert at("schemas", address).is_file()


@pytest.mark.parametrize("address", [a for a in addresses() if a.split(".")[0] not in ("raw", "ops")])
def test_every_contract_has_one_job_that_writes_it(address: str) -> None:
    assert [s.path.relative_to(ROOT).as_posix() for s in STEPS if s.job.writes == address] == [f"jobs/{address.replace('.', '/')}.py"]


@pytest.mark.parametrize("folder", ["expectations", "tests/jobs"])
def test_nothing_is_left_behind_by_a_job_that_is_gone(folder: str) -> None:
    left = {
        p.relative_to(ROOT / folder).as_posix()
        for p in (ROOT / folder).glob("*/*")
        if p.is_file() and p.suffix in (".yaml", ".py") and p.name != "conftest.py"
    }
    known = {at(folder, a, "{}.yaml" if folder == "expectations" else "test_{}.py").relative_to(ROOT / folder).as_posix() for a in every()}
    assert left <= known | {"upkeep/test_tables.py"}


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_script_is_named_like_a_module_of_python(path: Path) -> None:
    assert path.stem not in sys.stdlib_module_names
    assert len(path.relative_to(ROOT).parts) == 3  # jobs/<zone>/<name>.py, where the plan looks
    assert read_step(path) is not None or path.parent.name == "upkeep"


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.job.writes)
def test_a_job_file_is_one_small_story(step: Step) -> None:
    source = step.path.read_text(encoding="utf-8")
    made = "SPEC" if step.job.runs_on == "torch" else "build"
    assert shape(source) == ["docstring", "JOB", made, f"if __name__ == '__main__':\n    raise SystemExit(main(JOB, {made}))"]
    assert len(source.splitlines()) <= LONGEST
    assert step.about.endswith(".")


# A job of the driver alone (runs_on="lake") makes a page, which is no table: it names where the page goes.
@pytest.mark.parametrize("step", [s for s in STEPS if s.job.runs_on != "lake"], ids=lambda s: s.job.writes)
def test_a_job_names_no_place_no_way_of_writing_and_no_engine_below(step: Step) -> None:
    assert list(outside(step.path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('x = "s3a://lake/raw"', "the place 's3a://lake/raw'"),
        ('x = "/data/x"', "the place '/data/x'"),
        ('x = "../x"', "the place '../x'"),
        ('x = "a.csv"', "the place 'a.csv'"),
        ('rows.write.mode("append")', "writes by .write"),
        ("import great_expectations as gx", "imports great_expectations"),
        ("from lake.gate.batch import check_batch", "imports lake.gate.batch"),
    ],
)
def test_what_is_not_a_jobs_business_is_seen(line: str, told: str) -> None:
    assert any(told in found for found in outside(f'"""Reads /data/x."""\n{line}\n'))


@pytest.mark.parametrize(
    "line", ['"""Reads /data/x."""', r'x = r"^([^/]+)/"', r'x = r"\.csv(\.\w+)?$"', 'x = "nab/"', "from lake.columns.time import hour"]
)
def test_what_is_a_jobs_business_is_let_be(line: str) -> None:
    assert list(outside(line)) == []
