"""The command `lake`: plan, run and look at a lake."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text
from typer.core import TyperGroup

from lake.errors import ContractBroken, LakeError, SettingsWrong
from lake.settings import Settings, project_root

if TYPE_CHECKING:
    from lake.lake import Lake
    from lake.plan import Plan, Step
    from lake.run import Again, Outcome

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False)
contract = typer.Typer(no_args_is_help=True, help="Contracts that have changed since their tables were made.")
app.add_typer(contract, name="contract")
Address = Annotated[str, typer.Argument(help="<zone>.<name>, e.g. silver.texts")]


def main() -> None:
    """Entry point: an error of ours ends with its message, its next step and its own exit code."""
    try:
        app()
    except LakeError as error:
        Console(stderr=True, highlight=False).print(f"lake: {error}", markup=False, style="red")
        raise SystemExit(error.exit_code) from None


@app.command()
def up() -> None:
    """Start the embedded S3 server (for who has no bucket); its data and keys stay in .lake/s3."""
    from lake.server import up as start

    server = start(Settings.load())
    console.print(f"{'started' if server.started else 'already up'}: {server.endpoint}  (data and keys: {Settings.load().state}/s3)", soft_wrap=True)


@app.command()
def down() -> None:
    """Stop the embedded S3 server; its data stay."""
    from lake.server import down as stop

    console.print("stopped" if stop(Settings.load()) else "was not up")


@app.command()
def land(
    source: Annotated[str | None, typer.Argument(help="source name, e.g. kafka")] = None,
    files: Annotated[list[Path] | None, typer.Argument(help="files to bring in")] = None,
    base: Annotated[Path | None, typer.Option(help="keep paths below this folder")] = None,
    folder: Annotated[Path | None, typer.Option("--from", help="a whole folder laid out like samples/raw")] = None,
) -> None:
    """Bring raw files into the lake: whole, with their sha256, never over other bytes."""
    from lake.lake import Lake
    from lake.landing import land as bring
    from lake.landing import land_folder

    if (folder is None) == (source is None) or bool(source) != bool(files):
        raise typer.BadParameter("give a SOURCE with FILES, or --from FOLDER")
    with Lake.open() as lake:
        done = land_folder(lake.store, folder) if folder else [bring(lake.store, source or "", files or [], base)]
    for one in done:
        console.print(f"{one.source:<22} {one.new:>5} files landed, {one.size / 1e6:.2f} MB; {one.known} lay there already")


@app.command("plan")
def show_plan(mermaid: Annotated[bool, typer.Option(help="the picture as Mermaid text")] = False) -> None:
    """Print the order of the jobs and the picture, without starting Spark."""
    from lake.plan import plan

    whole = plan()
    if mermaid:
        console.print(whole.mermaid(), markup=False, soft_wrap=True)
        return
    table = RichTable(box=None, pad_edge=False)
    for name in ("", "address", "grain", "reads", "about"):
        # In a narrow window it is the long columns that go on below; no letter is lost.
        table.add_column(name, overflow="fold", no_wrap=name in ("", "address"))
    for n, step in enumerate(whole.steps, 1):
        grain = step.job.runs_on if step.job.runs_on != "spark" else step.job.grain + (f", {step.job.look_back} back" if step.job.look_back else "")
        table.add_row(str(n), step.job.writes, grain, ", ".join(step.job.reads), Text(step.about))
    console.print(table)


@app.command()
def run(
    addresses: Annotated[list[str], typer.Argument(help="one or more of <zone>.<name>, e.g. silver.texts")],
    full: Annotated[bool, typer.Option("--full", help="make it again from all its inputs; a model: train to the end")] = False,
) -> None:
    """Run one job, or some in the plan's order."""
    from lake.plan import plan

    whole = plan()
    chosen = [whole.step(address) for address in addresses]
    _run_steps([step for step in whole.steps if step in chosen], "full" if full else "")


@app.command()
def rebuild(address: Address, downstream: Annotated[bool, typer.Option(help="and everything that depends on it")] = False) -> None:
    """Make a table again from all its inputs, after its code or contract changed."""
    from lake.plan import plan

    whole = plan()
    _run_steps(_with_downstream(whole, [whole.step(address)], downstream), "rebuild")


@contract.command("diff")
def contract_diff(address: Annotated[str | None, typer.Argument(help="one table only")] = None) -> None:
    """What each contract says otherwise than the one that its table was made by, and what becomes of that; 65 where a run would refuse."""
    from lake.errors import ContractBroken
    from lake.lake import Lake
    from lake.migrate import differences

    fates = {"wider": "with the next run", "narrower": "lake contract migrate asks the rows", "breaking": "needs a rebuild"}
    with Lake.open() as lake:
        found = differences(lake.store, address)
    table = RichTable(box=None, pad_edge=False, show_header=False)
    for one, changes in found.items():
        if changes is None:
            continue
        for change in changes:
            table.add_row(one, Text(change.what), fates[change.kind])
        if not changes:
            table.add_row(one, "only words", fates["wider"])
    console.print(table if table.row_count else "every table is as its contract says")
    if any(change.kind != "wider" for changes in found.values() for change in changes or ()):
        raise SystemExit(ContractBroken.exit_code)


@contract.command("migrate")
def contract_migrate(
    address: Address, rebuild: Annotated[bool, typer.Option("--rebuild", help="make its rows again where they must be")] = False
) -> None:
    """Give a table what its contract says now: additions and wider rules at once, narrower ones when no row that stands breaks them."""
    from lake.errors import ContractBroken
    from lake.lake import Lake
    from lake.migrate import migrate
    from lake.plan import plan

    step = plan().step(address)
    with Lake.open() as lake, lake.writing(address):
        try:
            console.print(migrate(lake, address), markup=False, soft_wrap=True)
            return
        except ContractBroken as error:
            if not rebuild:
                raise
            console.print(error.what, markup=False, soft_wrap=True)
    _run_steps([step], "rebuild")


@app.command()
def replay(
    source: Annotated[str, typer.Argument(help="source name, e.g. kafka")],
    files: Annotated[str | None, typer.Option(help="only files whose path matches, e.g. 'kafka0/**'")] = None,
    rejects: Annotated[str | None, typer.Option(help="only files with rows set aside for this reason, e.g. pattern or out_of_range:value")] = None,
    downstream: Annotated[bool, typer.Option(help="and run everything that depends on it")] = False,
) -> None:
    """Read raw files once more, after their contract or their job was mended: their rows take the place of the older ones."""
    from lake.plan import plan

    whole = plan()
    address = source if source.startswith("raw.") else f"raw.{source}"
    readers = [step for step in whole.steps if address in step.job.reads]
    if not readers:
        raise SettingsWrong(f"no job reads {address}", next_step=f"sources are {', '.join(r.removeprefix('raw.') for r in whole.raw())}")

    def chosen(lake: Lake, step: Step) -> Again:
        from lake.replay import files_to_replay
        from lake.run import Again

        return Again(files=files_to_replay(lake.store, step.job.writes, address, files, rejects))

    _run_steps(_with_downstream(whole, readers, downstream), "", lambda lake, step: chosen(lake, step) if step in readers else None)


@app.command()
def backfill(
    address: Address,
    since: Annotated[str, typer.Option("--from", help="first slice, e.g. 2026-03-01")] = "",
    to: Annotated[str, typer.Option("--to", help="last slice, e.g. 2026-03-31")] = "~",
    downstream: Annotated[bool, typer.Option(help="and run everything that depends on it")] = False,
) -> None:
    """Build slices of a table once more from all rows of its inputs; the others stay as they are."""
    from lake.plan import plan

    whole = plan()
    first = whole.step(address)
    if first.job.grain != "slice":
        raise SettingsWrong(
            f"{address} is not built by slices, but by {first.job.grain}",
            next_step=f"lake rebuild {address}, or for raw files: lake replay <source>",
        )

    def chosen(_: Lake, step: Step) -> Again | None:
        from lake.run import Again

        return Again(slices=(since, to)) if step is first else None

    _run_steps(_with_downstream(whole, [first], downstream), "", chosen)


def _with_downstream(whole: Plan, first: list[Step], downstream: bool) -> list[Step]:
    """These steps and, if asked for, all that depends on them, in the order of the plan; reports tell of a night, and are left out."""
    after = {a for step in first for a in whole.downstream(step.job.writes)} if downstream else set[str]()
    return [*first, *(s for s in whole.steps if s.job.writes in after and not s.job.writes.startswith("reports."))]


def _run_steps(
    steps: list[Step],
    how: Literal["", "full", "rebuild"],
    again: Callable[[Lake, Step], Again | None] = lambda *_: None,
    before: Callable[[Lake], bool] = lambda _: True,
) -> None:
    """Run steps in one lake and end with the code of the first that failed; `before` says whether there is anything to run."""
    from lake.lake import Lake
    from lake.run import load
    from lake.run import run as run_one

    began, code = datetime.now(UTC), 0
    outcomes: list[Outcome] = []
    with Lake.open() as lake:
        for step in steps if before(lake) else ():
            with lake.writing(step.job.writes):
                outcome = run_one(step, load(step), lake, full=how == "full", rebuild=how == "rebuild", again=again(lake, step))
            outcomes.append(outcome)
            lake.say(step.job.writes, f"{outcome.sentence()}  [{outcome.seconds:.1f} s]")
            if outcome.error:
                Console(stderr=True, highlight=False).print(str(outcome.error), markup=False, style="red")
                code = code or outcome.exit_code
                break
        _tell(lake, outcomes, began)
    raise SystemExit(code)


def _tell(lake: Lake, outcomes: list[Outcome], since: datetime) -> None:
    """The pages of runs by hand, and who is to be told of them; a night sees to its own."""
    from lake.alerts import alert
    from lake.plan import plan
    from lake.report.table_page import write_run_pages

    pages = write_run_pages(lake, plan(), {o.address for o in outcomes}, since)
    for page in pages:
        console.print(f"page: {page}", soft_wrap=True)
    alert(lake, plan(), outcomes, f"lake run, by hand: {', '.join(f'{o.address} {o.status}' for o in outcomes)}")


@app.command()
def nightly() -> None:
    """Run the whole plan, in order, in one Spark; ends with a table and an exit code that tell the truth. Made for cron."""
    raise SystemExit(_night(None))


def _night(before: Callable[[Lake], None] | None) -> int:
    from lake.alerts import broke_off
    from lake.lake import Lake
    from lake.night import call, show
    from lake.night import nightly as night_of

    try:
        with Lake.open() as lake, lake.writing("night"):
            if before:
                before(lake)
            night = night_of(lake)
            show(night, console)
            page = lake.settings.state / "reports" / "latest.html"
            if page.exists():
                console.print(f"page: {page}", soft_wrap=True)
    except Exception as error:  # before its first job, or after its last: nobody else would tell
        code = error.exit_code if isinstance(error, LakeError) else 1
        settings = Settings.load()
        broke_off(settings, error, lambda problem: print(problem, file=sys.stderr, flush=True))
        call(settings, {"night": "", "exit_code": code, "text": f"the night broke off: {type(error).__name__}: {error}", "outcomes": []})
        raise
    return night.exit_code


@app.command()
def demo() -> None:
    """The main job on the samples: land them, run a night, show where the page is. LAKE_SAMPLES names another folder of that layout."""
    from lake.landing import land_folder

    began = time.monotonic()
    settings = Settings.load()
    samples = settings.samples or project_root() / "samples" / "raw"
    if settings.samples and "LAKE_ROOT" not in os.environ:
        # Another pack has other bytes under the same names: it gets a root of its own beside the samples' one.
        os.environ["LAKE_ROOT"] = f"s3a://lake/{samples.absolute().parent.name}-{samples.name}"

    def bring(lake: Lake) -> None:
        for one in land_folder(lake.store, samples):
            lake.say(f"raw.{one.source}", f"{one.new} files landed, {one.size / 1e6:.2f} MB; {one.known} lay there already")

    code = _night(bring)
    console.print(f"demo: {time.monotonic() - began:.0f} s, exit code {code}")
    root = Settings.load().root
    look = "" if root == "s3a://lake" else f"LAKE_ROOT={root} "
    console.print(f'look: {look}.venv/bin/lake sql "select * from gold.log_hourly limit 5"', soft_wrap=True)
    raise SystemExit(code)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="a query; tables by address, e.g. gold.sensor_hourly")],
    as_json: Annotated[bool, typer.Option("--json", help="rows as JSON lines")] = False,
    rows: Annotated[int, typer.Option(help="print at most so many rows")] = 100,
) -> None:
    """Query the tables with DuckDB over delta-rs: no Spark start."""
    from lake.lake import Lake
    from lake.look import query as ask

    with Lake.open() as lake:
        result = ask(lake.store, query)
    if as_json:
        for row in result.to_pylist():
            print(json.dumps(row, default=_plain, ensure_ascii=False))
        return
    table = RichTable(box=None, pad_edge=False)
    for name in result.column_names:
        table.add_column(Text(name), overflow="fold")
    for row in result.slice(0, rows).to_pylist():
        table.add_row(*[Text("" if v is None else str(v)) for v in row.values()])
    console.print(table)
    if result.num_rows > rows:
        console.print(f"... {result.num_rows - rows:,} more rows; --rows N shows them")


@app.command()
def show(address: Address, rows: Annotated[int, typer.Option(help="rows to show")] = 5) -> None:
    """What a table is and how it stands: columns, freshness, versions, the last verdict, a few rows."""
    from lake.lake import Lake
    from lake.look import describe

    with Lake.open() as lake:
        for part in describe(lake.store, address, rows):
            console.print(part)


class _ListFirst(TyperGroup):
    """`lake rejects` and `lake rejects bronze.access` list: what is none of the commands is an argument of the first one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


rejected = typer.Typer(cls=_ListFirst, help="Rows that the gate set aside: list, show, export them; repair, waive or reopen them.")
app.add_typer(rejected, name="rejects")
Reason = Annotated[str | None, typer.Option(help="only those for this reason, e.g. not_a_number or out_of_range:value")]
OfFile = Annotated[str | None, typer.Option("--file", help="only those of this raw file")]
OnDay = Annotated[str | None, typer.Option("--day", help="only those set aside on this day (UTC), e.g. 2026-03-01")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="only this one, by its id; may be given again")]
By = Annotated[str, typer.Option("--by", help="who decides")]
Because = Annotated[str, typer.Option("--because", help="why")]
Everything = Annotated[bool, typer.Option("--all", help="also what was decided about, with what became of it")]


@rejected.command("list")
def list_rejects(
    address: Annotated[str | None, typer.Argument(help="one table only")] = None,
    rows: Annotated[int, typer.Option(help="show so many rows as well")] = 0,
    group: Annotated[str, typer.Option("--by", help="rule, source or day")] = "rule",
    everything: Everything = False,
) -> None:
    """Count rows set aside, by table and by rule, source or day. `lake rejects` alone does this."""
    if group not in ("rule", "source", "day"):
        raise typer.BadParameter(f"--by {group}: rule, source or day")
    _show_rejects(address, rows, by=group, everything=everything)


@rejected.command("show")
def show_rejects(
    address: Address,
    reason: Reason = None,
    file: OfFile = None,
    day: OnDay = None,
    ids: Ids = None,
    rows: Annotated[int, typer.Option(help="rows to show")] = 20,
    plain: Annotated[bool, typer.Option("--plain", help="as they are, personal data and all")] = False,
    everything: Everything = False,
) -> None:
    """Show rows set aside, the newest first, each with its id; personal data hidden or masked."""
    from lake.contract import Contract
    from lake.rejects import Which

    Contract.load(address)  # a name that is written wrong has no rejects either
    _show_rejects(address, rows, which=Which(reason, file, day, tuple(ids or ())), plain=plain, everything=everything)


def _show_rejects(address: str | None, rows: int, **how: Any) -> None:
    from lake.lake import Lake
    from lake.look import rejected as look_at

    with Lake.open() as lake:
        for part in look_at(lake.store, address, rows, **how):
            console.print(part)


@rejected.command("export")
def export_rejects(
    address: Address,
    to: Annotated[Path, typer.Option("--to", help="a file: .jsonl is exact, .csv is for a spreadsheet")],
    reason: Reason = None,
    file: OfFile = None,
    day: OnDay = None,
    ids: Ids = None,
    everything: Everything = False,
) -> None:
    """Write rows set aside into a file, as they are, to be repaired there and taken back with `lake rejects repair --from`."""
    from lake.contract import Contract
    from lake.lake import Lake
    from lake.rejects import Which, export, fates

    Contract.load(address)
    which = Which(reason, file, day, tuple(ids or ()))
    with Lake.open() as lake:
        found = [f for f in fates(lake.store, address, back=everything) if which.holds(f) and (everything or f.state in ("open", "moot"))]
        count = export(found, to)
    console.print(f"{count:,} rows in {to}, as they are: personal data are not masked there", soft_wrap=True)


@rejected.command("repair")
def repair_rejects(
    address: Address,
    by: By,
    because: Because,
    source: Annotated[Path | None, typer.Option("--from", help="a file that was exported and repaired")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help='a column and its SQL expression, e.g. "status = 200"; may be given again')] = None,
    reason: Reason = None,
    file: OfFile = None,
    day: OnDay = None,
    ids: Ids = None,
    downstream: Annotated[bool, typer.Option(help="and run everything that depends on it")] = False,
) -> None:
    """Take rows back through the same gate, as a repaired file or an SQL expression has them: all that is given, or nothing."""
    from lake.rejects import Which, repair_by_file, repair_by_sql

    if (source is None) == (not sets):
        raise typer.BadParameter("give either --from FILE or --set 'column = expression'")
    which = Which(reason, file, day, tuple(ids or ()))
    if source is not None and which != Which():
        raise typer.BadParameter("--from FILE says which rows it is about; --reason, --file, --day and --id go with --set")

    def decide(lake: Lake) -> int:
        if source is not None:
            return repair_by_file(lake.store, lake.spark, address, source, by, because)
        return repair_by_sql(lake.store, lake.spark, address, which, sets or [], by, because)

    _decided(address, decide, downstream)


@rejected.command("waive")
def waive_rejects(
    address: Address,
    by: By,
    because: Because,
    reason: Reason = None,
    file: OfFile = None,
    day: OnDay = None,
    ids: Ids = None,
    every: Annotated[bool, typer.Option("--every", help="all that are open")] = False,
) -> None:
    """Leave rows out for good, by a name and for a reason: they are listed no more."""
    from lake.lake import Lake
    from lake.rejects import Which, waive

    which = Which(reason, file, day, tuple(ids or ()))
    if (which == Which()) != every:
        raise typer.BadParameter("say which: --reason, --file, --day, --id, or --every")
    with Lake.open() as lake, lake.writing(address):
        console.print(f"{address}: {waive(lake.store, address, which, by, because):,} waived")


@rejected.command("reopen")
def reopen_rejects(
    address: Address, by: By, because: Because, reason: Reason = None, file: OfFile = None, day: OnDay = None, ids: Ids = None
) -> None:
    """Take decisions back: what was waived is open again, what was repaired is set aside again."""
    from lake.rejects import Which, reopen

    which = Which(reason, file, day, tuple(ids or ()))
    _decided(address, lambda lake: reopen(lake.store, address, which, by, because), False)


def _decided(address: str, decide: Callable[[Lake], int], downstream: bool) -> None:
    """Write decisions, and run their address while any waits: also those of a call that died before its run."""
    from lake.plan import plan

    whole = plan()
    step = whole.step(address)
    _run_steps(_with_downstream(whole, [step], downstream), "", before=lambda lake: _waiting(lake, address, decide))


def _waiting(lake: Lake, address: str, decide: Callable[[Lake], int]) -> bool:
    from lake.rejects import pending

    with lake.writing(address):
        count = decide(lake)
    waits = pending(lake.store, address)
    lake.say(address, f"{count:,} decided{'' if count or waits else ': nothing new, all of it was taken in before'}")
    return waits


@app.command()
def expectations(
    type_: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="one type, with its arguments")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="the JSON schema of a suite, for editors")] = False,
) -> None:
    """What a suite may ask: the expectation types that run on Spark, those of this project too."""
    from lake.gate.gallery import expectation, suite_schema
    from lake.gate.gallery import expectations as all_of_them
    from lake.gate.suite import load_own

    load_own()
    if schema:
        print(json.dumps(suite_schema(), indent=1, ensure_ascii=False))
        return
    if type_ is None:
        table = RichTable("expectation", "judges", "on failure", "about", box=None)
        for e in all_of_them():
            table.add_row(e.type, e.kind, e.on_fail, escape(e.about))
        console.print(table)
        return
    try:
        one = expectation(type_)
    except LookupError:
        raise ContractBroken(f"GX offers no {type_} on Spark", next_step="lake expectations") from None
    console.print(f"{one.type}: {one.about}\n  judges: {one.kind}; on failure, unless meta.on_fail says otherwise: {one.on_fail}", markup=False)
    for name, told in one.arguments.items():
        must = " (required)" if name in one.required else ""
        console.print(f"  {name}{must}: {told.get('description', '')}", markup=False, soft_wrap=True)


@app.command()
def docs(address: Address, run: Annotated[int | None, typer.Option(help="run number; default the last one judged")] = None) -> None:
    """Great Expectations' own Data Docs of a verdict, here and in the lake; `lake nightly` makes pages of ours by itself."""
    from lake.lake import Lake
    from lake.report.gx_docs import write_docs

    with Lake.open() as lake:
        written = write_docs(lake, address, run)
    console.print(f"{address} run {written.run}: {written.docs.rules} expectations", soft_wrap=True)
    for rule in written.docs.left_out:
        console.print(
            f"left out: {rule}, which is no expectation of GX, or whose arguments were too long for the books", markup=False, soft_wrap=True
        )
    console.print(f"page: {written.page}\nlake: {written.uri}", soft_wrap=True)
    console.print("GX's pages load their style and tables from the web (CDNs): offline they read as plain text", style="dim")


@app.command()
def models(name: Annotated[str | None, typer.Argument(help="one model only")] = None) -> None:
    """Model versions, their figures and what was decided about them."""
    from lake.lake import Lake
    from lake.look import model_versions

    with Lake.open() as lake:
        console.print(model_versions(lake.store, name))


@app.command()
def trace(address: Address, key: Annotated[str, typer.Argument(help="value of its first key column, e.g. a text_id")]) -> None:
    """Where a row comes from: each run, table version, verdict, model and raw file that it depends on."""
    from lake.lake import Lake
    from lake.look import lineage

    with Lake.open() as lake:
        console.print(lineage(lake.store, address, key))


@app.command()
def restore(address: Address, to: Annotated[int, typer.Option("--to", help="table version to go back to")]) -> None:
    """Undo: put an earlier version of a table back, its run number included; the next run takes in again what came after."""
    from lake.lake import Lake
    from lake.restore import restore as go_back

    with Lake.open() as lake, lake.writing(address):
        console.print(go_back(lake, address, to))


@app.command()
def doctor(alert: Annotated[bool, typer.Option("--alert", help="send a message to every address of LAKE_ALERTS, to see it come")] = False) -> None:
    """Check this place: Java, jars, store, keys, conditional writes; says what to type where something is missing."""
    from lake.doctor import findings, told

    wrong = 0
    for finding in [told()] if alert else findings():
        console.print(f"{'[green]ok  [/]' if finding.fine else '[red]no  [/]'} {escape(finding.what)}", soft_wrap=True)
        if not finding.fine:
            console.print(f"       next: {finding.next_step}", markup=False, soft_wrap=True)
            wrong += 1
    raise SystemExit(1 if wrong else 0)


def _plain(value: object) -> object:
    """A value of SQL as JSON has it: DuckDB sums whole numbers into a decimal, which is a number all the same."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
