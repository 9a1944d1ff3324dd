"""The plan: JOB read out of jobs/** without importing them, their order, cycles, and the picture. Milliseconds, no Spark."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lake.errors import ContractBroken
from lake.job import Job
from lake.settings import ZONES, project_root


@dataclass(frozen=True)
class Step:
    """One job of the plan: its declaration, its file, and the hash of its code with comments and docstrings apart."""

    job: Job
    path: Path

    @cached_property
    def about(self) -> str:
        """First line of the file's docstring."""
        return (ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or "").split("\n")[0]

    @cached_property
    def code(self) -> str:
        """Hash of what the job does: another comment, docstring or layout gives the same."""
        return code_hash(self.path)


@dataclass(frozen=True)
class Plan:
    """Every job of a project, in the order in which data flows."""

    steps: tuple[Step, ...]

    @cached_property
    def by_address(self) -> Mapping[str, Step]:
        """Steps by the address that they write."""
        return {s.job.writes: s for s in self.steps}

    def step(self, address: str) -> Step:
        """The step that writes an address.

        Raises:
            ContractBroken: no job writes it; names the nearest ones.
        """
        if address not in self.by_address:
            import difflib

            near = difflib.get_close_matches(address, list(self.by_address), 3) or list(self.by_address)
            raise ContractBroken(f"no job writes {address}", next_step=f"perhaps {', '.join(near)}; or write jobs/{address.replace('.', '/')}.py")
        return self.by_address[address]

    def downstream(self, address: str) -> list[str]:
        """Addresses that depend on one, near or far, in plan order."""
        reached = {address}
        for step in self.steps:
            if reached & set(step.job.reads):
                reached.add(step.job.writes)
        return [s.job.writes for s in self.steps if s.job.writes in reached - {address}]

    def raw(self) -> list[str]:
        """Raw sources that the plan reads, sorted."""
        return sorted({r for s in self.steps for r in s.job.reads if r.startswith("raw.")})

    def mermaid(self) -> str:
        """The flow as a Mermaid graph."""
        lines = ["graph LR"]
        for zone in ZONES:
            inside = sorted({a for s in self.steps for a in (s.job.writes, *s.job.reads) if a.startswith(f"{zone}.")})
            if inside:
                lines += [f"  subgraph {zone}", *[f"    {a.replace('.', '_')}[{a.split('.')[1]}]" for a in inside], "  end"]
        lines += [f"  {r.replace('.', '_')} --> {s.job.writes.replace('.', '_')}" for s in self.steps for r in s.job.reads]
        return "\n".join(lines)


def plan(root: Path | None = None) -> Plan:
    """The plan of a project.

    Raises:
        ContractBroken: a job file without a literal JOB, in the wrong place, named like a module of the standard library,
            an input that no job writes, or a cycle.
    """
    jobs = (root or project_root()) / "jobs"
    found = {step.job.writes: step for step in map(read_step, sorted(jobs.glob("*/*.py"))) if step is not None}
    for step in found.values():
        for address in step.job.reads:
            if address not in found and not address.startswith("raw."):
                raise ContractBroken(
                    f"{step.path} reads {address}, which no job writes", next_step=f"write jobs/{address.replace('.', '/')}.py, or mend `reads`"
                )
    return Plan(tuple(found[a] for a in _ordered(found.values())))


def read_step(path: Path) -> Step | None:
    """The step that a job file declares; None for a script that writes no address (jobs/upkeep, or a name with _ before it).

    Raises:
        ContractBroken: the file is no job, and lies where a job must.
    """
    if path.stem in sys.stdlib_module_names:
        raise ContractBroken(
            f"{path} is named like Python's own module {path.stem!r}: run as a script it would shadow it", next_step="choose another name"
        )
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ContractBroken(f"{path}:{error.lineno}: {error.msg}", next_step="mend the syntax") from None
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(isinstance(t, ast.Name) and t.id == "JOB" for t in targets):
            job = _job(node.value, f"{path}:{node.lineno}")
            if job.writes != f"{path.parent.name}.{path.stem}":
                raise ContractBroken(
                    f"{path} writes {job.writes}, but its place says {path.parent.name}.{path.stem}",
                    next_step=f"move it to jobs/{job.writes.replace('.', '/')}.py",
                )
            return Step(job, path)
    if path.parent.name in ZONES and not path.name.startswith("_"):
        raise ContractBroken(f"{path} declares no JOB", next_step=f'JOB = Job(writes="{path.parent.name}.{path.stem}", reads=(...,))')
    return None


def code_hash(path: Path) -> str:
    """Hash of a Python file's syntax tree without docstrings: what it does, not how it is written."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _job(value: ast.expr | None, where: str) -> Job:
    """The Job that an expression writes out."""
    try:
        if not isinstance(value, ast.Call) or not all(k.arg for k in value.keywords):
            raise ValueError
        return Job(*map(ast.literal_eval, value.args), **{str(k.arg): ast.literal_eval(k.value) for k in value.keywords})
    except ValueError:
        raise ContractBroken(f"{where}: JOB must be a literal: the plan is read without running the file", next_step="write addresses out") from None
    except TypeError as error:
        raise ContractBroken(f"{where}: {error}", next_step="see lake.job.Job for what a job declares") from None
    except ContractBroken as error:
        raise ContractBroken(f"{where}: {error.what}", next_step=error.next_step) from None


def _ordered(steps: Iterable[Step]) -> list[str]:
    """Addresses so that inputs come first; of those that are ready together, by zone and then by name."""
    sorter = TopologicalSorter({s.job.writes: [r for r in s.job.reads if not r.startswith("raw.")] for s in steps})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ContractBroken(f"the plan runs in a circle: {' -> '.join(error.args[1])}", next_step="take one of these out of a job's reads") from None
    order = list[str]()
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda a: (ZONES.index(a.split(".")[0]), a))  # pyright: ignore[reportArgumentType]
        order += ready
        sorter.done(*ready)
    return order
