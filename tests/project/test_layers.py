"""Layers: a module of lake imports only from those above it, inside functions too; heavy engines have one door each."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From the top to the bottom; a package is one layer. `lake` is the face of the library: what `import lake` gives.
LAYERS = (
    "errors", "settings", "job", "lake", "contract", "logstore", "server", "store", "session", "table", "ops", "sources", "gate", "columns", "models",
    "lake.lake", "plan", "landing", "upkeep", "run", "restore", "migrate", "report", "alerts", "night", "replay", "rejects", "look", "doctor", "cli",
)  # fmt: skip

# Imports from below that stand inside a function, each with its reason.
ALLOWED = {
    ("lake", "lake.run"): "main() of a job file: `import lake` must stay light, and the run comes after the build is known",
}

# Where an engine may be imported, and where a session may be built: one door each.
DOORS = {
    "great_expectations": ("lake.gate",),
    "petastorm": ("lake.models.petastorm_mends", "lake.models.feed"),
    "torch": ("lake.models",),
    "transformers": ("lake.models",),
    "boto3": ("lake.store", "lake.server"),
}
SESSION_DOOR = "lake.session"
BUILDERS = frozenset({"builder", "getOrCreate"})


def sources(*folders: str) -> dict[str, str]:
    """Every module below the folders, with its text."""
    found = {}
    for path in sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py")):
        found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def imports(text: str) -> Iterator[tuple[str, int]]:
    """What a module imports, anywhere in it, with the line; of `from a import b` both a and a.b."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield start, node.lineno
            yield from ((f"{start}.{alias.name}", node.lineno) for alias in node.names if not node.level)


def edges(modules: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Module, a module of ours that it imports, and the line: the most exact one that the import names."""
    for module, text in modules.items():
        named = {(name, line) for name, line in imports(text) if name in modules}
        for name, line in sorted(named):
            if not any(other.startswith(f"{name}.") and at == line for other, at in named) and name != module:
                yield module, name, line


def layer(module: str) -> str:
    """The layer that a module belongs to."""
    parts = module.split(".")
    return module if module in ("lake", "lake.lake") else parts[1]


def from_below(modules: Mapping[str, str]) -> list[str]:
    """Imports that go down, but for those allowed."""
    place = {name: n for n, name in enumerate(LAYERS)}
    relative = [
        f"{module}:{line} imports {name} by a relative name" for module, text in modules.items() for name, line in imports(text) if name[0] == "."
    ]
    return relative + [
        f"{module}:{line} imports {name}, which lies below it"
        for module, name, line in edges(modules)
        if place[layer(name)] > place[layer(module)] and (module, name) not in ALLOWED
    ]


def circle(modules: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, within a layer too; those allowed apart."""
    graph: dict[str, set[str]] = {m: set() for m in modules}
    for module, name, _ in edges(modules):
        if (module, name) not in ALLOWED:
            graph[module].add(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def through_the_wall(modules: Mapping[str, str]) -> list[str]:
    """Engines imported, or sessions built, elsewhere than at their door."""
    found = [
        f"{module}:{line} imports {name}"
        for module, text in modules.items()
        for name, line in imports(text)
        if not _inside(module, DOORS.get(name.split(".")[0], ("",)))
    ]
    for module, text in modules.items():
        if module != SESSION_DOOR:
            found += [
                f"{module}:{node.lineno} builds a session"
                for node in ast.walk(ast.parse(text))
                if (isinstance(node, ast.Attribute) and node.attr in BUILDERS)
                or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("SparkContext", "SparkSession")))
            ]
    return found


def _inside(module: str, doors: Iterable[str]) -> bool:
    return any(not door or module == door or module.startswith(f"{door}.") for door in doors)


def test_every_module_has_its_layer() -> None:
    assert {layer(module) for module in sources("lake")} == set(LAYERS)


def test_a_module_imports_only_from_those_above_it() -> None:
    assert from_below(sources("lake")) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(sources("lake")) == []


def test_every_allowed_import_from_below_is_still_there() -> None:
    assert {(module, name) for module, name, _ in edges(sources("lake"))} >= set(ALLOWED)


def test_every_engine_has_one_door() -> None:
    assert through_the_wall(sources("lake", "jobs")) == []


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        ({"lake.errors": "", "lake.plan": "from lake.errors import X", "lake.cli": "def f():\n    from lake import plan"}, []),
        ({"lake.plan": "from lake.run import run", "lake.run": ""}, ["lake.plan:1 imports lake.run, which lies below it"]),
        ({"lake.store": "def f():\n    import lake.night as n", "lake.night": ""}, ["lake.store:2 imports lake.night, which lies below it"]),
        (
            {"lake.table": "if TYPE_CHECKING:\n    from lake import ops", "lake.ops": "", "lake": ""},
            ["lake.table:2 imports lake.ops, which lies below it"],
        ),
        ({"lake": "from lake.run import main", "lake.run": ""}, []),
        ({"lake.plan": "from .errors import X"}, ["lake.plan:1 imports .errors by a relative name"]),
    ],
)
def test_an_import_from_below_is_seen(modules: dict[str, str], told: list[str]) -> None:
    assert from_below(modules) == told


def test_a_circle_is_seen() -> None:
    assert set(circle({"lake.models.a": "from lake.models.b import x", "lake.models.b": "def f():\n    import lake.models.a"})) == {
        "lake.models.a",
        "lake.models.b",
    }


@pytest.mark.parametrize(
    ("module", "text", "told"),
    [
        ("lake.gate.batch", "def f():\n    import great_expectations as gx", []),
        ("lake.run.tables", "from great_expectations.core import x", ["lake.run.tables:1 imports great_expectations.core"]),
        ("lake.models.train", "import petastorm", ["lake.models.train:1 imports petastorm"]),
        ("lake.columns.text", "import torch", ["lake.columns.text:1 imports torch"]),
        ("lake.run.tables", "spark = SparkSession.builder", ["lake.run.tables:1 builds a session"]),
        ("lake.run.tables", "spark = SparkContext()", ["lake.run.tables:1 builds a session"]),
        ("lake.session", "spark = SparkSession.builder.getOrCreate()", []),
    ],
)
def test_a_second_door_is_seen(module: str, text: str, told: list[str]) -> None:
    found = through_the_wall({module: text})
    assert found[: len(told)] == told
    assert bool(found) is bool(told)
