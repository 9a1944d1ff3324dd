"""The batch's verdict: what the contract and the written suite ask of it, by figures that were taken while its rows were written.

`Gate` takes a batch apart in one pass: rows that break a rule of the contract, or an expectation that quarantines, are set aside with their
reasons; expectations that refuse or warn are counted over all rows, those of a batch as a whole over the rows that are kept. The figures
come back with the staged files, and Great Expectations' own code makes its verdict of them (gx.py). What is no figure of one pass is asked
of the staged files: repeated keys by their hashes, all else by Great Expectations itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import and_, or_
from typing import Any, cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.contract import Contract, RowRule
from lake.errors import ContractBroken
from lake.gate import gx
from lake.gate.history import MEAN, History
from lake.gate.history import NONE as NO_HISTORY
from lake.gate.rows import Tagged, broken, tag_rows
from lake.gate.suite import OnFail, Rule, Severity, Suite, written

# Under 20 rows a share of rejected ones says nothing.
_SHARE_FROM_ROWS = 20
_EXAMPLES = 5
_WHY = 500  # characters: it ends sentences


@dataclass(frozen=True, slots=True)
class Check:
    """One rule judged: what it asks, what was seen, and what its failure does."""

    rule: str
    column: str | None
    severity: Severity
    success: bool
    observed: str
    threshold: str
    unexpected: int | None
    message: str
    on_fail: OnFail = "refuse"
    judged_by: str = "one pass"  # or: keys, Great Expectations
    rows: int | None = None
    examples: tuple[str, ...] = ()
    why: str = ""  # what a failure means, as its suite says it


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of one batch."""

    address: str
    rows: int
    checks: tuple[Check, ...]

    @property
    def refusals(self) -> tuple[Check, ...]:
        """What failed and refuses the batch."""
        return tuple(c for c in self.checks if not c.success and c.on_fail == "refuse")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """What failed and is told."""
        return tuple(c for c in self.checks if not c.success and c.on_fail == "warn")


@dataclass(frozen=True, slots=True)
class Repeated:
    """Columns whose values rows share that must not: by the contract's key, or by a written rule."""

    name: str  # the reason that a row carries
    columns: tuple[str, ...]
    rule: Rule | None  # None: the contract says it
    rows: int  # that share them


@dataclass(frozen=True)
class Gate:
    """A batch on its way: its rows with what they break, and the figures to be taken while they are written."""

    contract: Contract
    suite: Suite
    tagged: Tagged
    _conditions: Mapping[str, gx.Condition]
    _of_all: Mapping[Any, Column]
    _of_kept: Mapping[Any, Column]
    _made: Mapping[str, Any]  # GX's expectations, by the names of their rules
    _waiting: Mapping[str, Check] = field(default_factory=dict[str, Check])  # rules that have no history yet, by their names

    @property
    def of_all(self) -> list[Column]:
        """Figures over all rows, each under a name of its own."""
        return [column.alias(f"all{n}") for n, column in enumerate(self._of_all.values())]

    @property
    def of_kept(self) -> list[Column]:
        """Figures over the rows that are kept."""
        return [column.alias(f"kept{n}") for n, column in enumerate(self._of_kept.values())]

    def breaks(self) -> ContractBroken | None:
        """After a pass over the rows failed: the first expectation that fails on them by itself, if it is one; the rows are read once for each."""
        for rule in self.suite.rules:
            figures = [F.sum(F.when(self._conditions[rule.name].bad, 1))] if rule.kind == "row" else []
            try:
                self.tagged.rows.agg(*figures).collect() if figures else None
            except Exception as error:  # noqa: BLE001 - whatever a rule breaks by, it is a broken rule and told as one
                return _broken_rule(rule, "broke while it was judged", str(error))
        return None

    # -- rows that share what they must not ------------------------------------------------------------------------

    def repeated(self, kept: DataFrame, rows: int) -> list[Repeated]:
        """What must be unique and is not, among `rows` kept rows: their key, and the columns of written rules.

        Stock GX sorts whole rows by a window: 7 million rows take it longer than they took to write. That values are unique is seen by
        counting hashes of them; only where these do not show it (two rows share a value, or a hash by chance: 1 in 10^6 batches of 6 million
        rows) are the values themselves counted.
        """
        asked: list[tuple[str, tuple[str, ...], Rule | None]] = []
        asked += [(_unique(columns), columns, None) for columns in self.contract.uniques()]
        asked += [(r.name, r.columns, r) for r in self.suite.rules if _counted(r)]
        found: list[Repeated] = []
        for name, columns, rule in asked if rows else ():
            hashed = kept.where(_compared(columns, rule)).select(F.xxhash64(*columns, *[F.col(c).isNull() for c in columns]).alias("hash"))
            if not hashed.groupBy("hash").count().where("count > 1").limit(1).count():
                continue
            shared = _shared(kept, columns, rule).agg(F.sum("count")).collect()[0][0]
            if shared:
                found.append(Repeated(name, columns, rule, int(shared)))
        return found

    def without(self, kept: DataFrame, repeated: Sequence[Repeated]) -> Gate:
        """The gate once more, for kept rows of which those go that share what they must not; all of them, since none is the right one."""
        rules: list[tuple[str, Column]] = []
        rows = kept
        for n, one in enumerate(r for r in repeated if r.rule is None or r.rule.on_fail == "quarantine"):
            keys = _shared(kept, one.columns, one.rule).select(
                *[F.col(c).alias(f"_shared{n}_{i}") for i, c in enumerate(one.columns)], F.lit(True).alias(f"_shared{n}")
            )
            same = reduce(and_, [F.col(c).eqNullSafe(F.col(f"_shared{n}_{i}")) for i, c in enumerate(one.columns)])
            rows = rows.join(keys, same, "left").drop(*[f"_shared{n}_{i}" for i in range(len(one.columns))])
            rules.append((one.name, F.coalesce(F.col(f"_shared{n}"), F.lit(False))))
        tagged = tag_rows(rows, rules)
        return replace(self, tagged=Tagged(tagged.rows.drop(*[f"_shared{n}" for n in range(len(rules))]), tagged.names), _of_all={})

    # -- the verdict -----------------------------------------------------------------------------------------------

    def verdict(
        self,
        figures: Mapping[str, Any],
        counts: Mapping[str, int],
        kept: DataFrame,
        *,
        rows: int,
        rejected: int,
        problems: int = 0,
        repeated: Sequence[Repeated] = (),
        emptied: bool = False,
        examples: Mapping[str, Sequence[str]] | None = None,
    ) -> Verdict:
        """Judge a batch; says the verdict and leaves the refusing to the caller, who records it first.

        `figures` are `of_all` and `of_kept` by their names, `counts` the rows that were set aside for each reason, `kept` the staged rows, which are
        read only where figures do not do; `rows` came in, `rejected` of them were set aside, beside `problems` of their reader. `emptied`: the
        batch keeps no rows and takes the place of a table that has some. `examples`: keys of some rows set aside, by reason.

        Raises:
            ContractBroken: an expectation broke while it was judged: a broken rule is never taken for bad data.
        """
        left, told = rows - rejected, dict(examples or {})
        checks = [self._share(left, rejected + problems)]
        checks += [_row_check(rule, rows, counts.get(rule.name, 0), told.get(rule.name, ())) for rule in self.contract.rules()]
        shared = {r.name: r.rows for r in repeated}
        checks += [
            _unique_check(columns, severity, left, shared.get(name, 0), told.get(name, ()), why)
            for name, columns, severity, why in self._set_aside(rows)
        ]
        of_rows = [r for r in self.suite.rules if r.kind == "row" and rows]
        # An empty batch says nothing about its rows, and GX lets it pass most rules: what it is asked is how many they are, when it empties a table.
        others = [r for r in self.suite.rules if r.kind == "batch" and (left or (emptied and r.type.startswith("expect_table_")))]
        others += [r for r in self.suite.rules if r.kind == "unique" and r.on_fail != "quarantine" and left]
        judge = gx.Judge(kept)
        known = {i: figures[f"all{n}"] for n, i in enumerate(self._of_all)}
        known |= {self._conditions[r.name].bad_id: counts.get(r.name, 0) for r in of_rows if r.on_fail == "quarantine"}
        of_kept: dict[Any, Any] = {i: figures[f"kept{n}"] for n, i in enumerate(self._of_kept)}
        of_kept |= {judge.unexpected(self._made[r.name]): shared.get(r.name, 0) for r in others if _counted(r)}
        judged = judge.validated([self._made[r.name] for r in of_rows], known) + judge.validated([self._made[r.name] for r in others], of_kept)
        for rule, said in zip([*of_rows, *others], judged, strict=True):
            if said.result is None:
                raise _broken_rule(rule, "broke while it was judged", said.broken)
            keys = told.get(rule.name, ())
            if rule.kind == "row" and rule.on_fail != "quarantine" and not said.result["success"]:
                keys = self._examples(kept, self._conditions[rule.name])
            by = "Great Expectations" if not said.by_figures else "keys" if rule.kind == "unique" else "one pass"
            checks.append(_check(rule, said.result, by, rows if rule.kind == "row" else left, keys))
        noted = {name: of_kept[name] for name in self._waiting if of_kept.get(name) is not None}
        checks += [replace(check, observed=json.dumps(noted[name])) if name in noted else check for name, check in self._waiting.items()]
        return Verdict(self.contract.address, left, tuple(checks))

    def _set_aside(self, rows: int) -> list[tuple[str, tuple[str, ...], Severity, str]]:
        """What rows must not share, or they are set aside: reason, columns, severity, and what it means."""
        key: list[tuple[str, tuple[str, ...], Severity, str]] = [(_unique(c), c, "critical", "") for c in self.contract.uniques() if rows]
        return key + [(r.name, r.columns, r.severity, r.why) for r in self.suite.rules if r.kind == "unique" and r.on_fail == "quarantine" and rows]

    def _share(self, kept: int, rejected: int) -> Check:
        share, most = rejected / (kept + rejected) if kept + rejected else 0.0, self.suite.max_rejected_share
        return Check(
            "rejected_share", None, "critical", share <= most or kept + rejected < _SHARE_FROM_ROWS, f"{share:.4f}", f"<= {most}", rejected,
            f"{rejected:,} of {kept + rejected:,} rows were rejected ({share:.1%}); at most {most:.0%} is borne", rows=kept + rejected,
        )  # fmt: skip

    def _examples(self, kept: DataFrame, condition: gx.Condition) -> tuple[str, ...]:
        """Keys of some rows. Keys only: a value may be personal."""
        key = [k for k in self.contract.key if self.contract.column(k).classification is None]
        if not key:
            return ()
        rows = kept.withColumns({**condition.beside}) if condition.beside else kept
        return tuple(", ".join(f"{k} = {row[k]}" for k in key) for row in rows.where(condition.bad).select(*key).limit(_EXAMPLES).collect())


def open_gate(rows: DataFrame, contract: Contract, past: History = NO_HISTORY) -> Gate:
    """The gate of a contract and its suite, for these rows and what is known of the last accepted batches; nothing is read yet.

    Raises:
        ContractBroken: a rule does not fit the rows, or the suite is not right.
    """
    suite, waiting = written(contract.address), tuple[Rule, ...]()
    if any(r.needs for r in suite.rules):
        waiting = tuple(r for r in suite.rules if r.needs and (past.batches < r.batches or r.needs - past.values.keys()))
        suite = replace(suite, rules=tuple(_against(r, past) for r in suite.rules if r not in waiting))
    judge, conditions, of_all = gx.Judge(rows), dict[str, gx.Condition](), dict[Any, Column]()
    beside = dict[str, Column]()
    expectations = {r.name: gx.made(r.type, r.kwargs) for r in suite.rules}
    of_kept, asked = dict[Any, Column](), dict[str, Column]()
    for rule in suite.rules:
        if rule.kind != "row":
            of_kept |= judge.aggregates(expectations[rule.name])
            continue
        try:
            condition = conditions[rule.name] = judge.condition(expectations[rule.name])
        except Exception as error:
            raise _broken_rule(rule, "is broken", str(error)) from error
        of_all |= condition.figures
        beside |= condition.beside
        if rule.on_fail != "quarantine":
            # A column of its own first: some conditions of GX are Python functions, which Spark computes in no observation.
            asked[name := f"_asked{len(asked)}"] = condition.bad
            of_all[condition.bad_id] = F.sum(F.when(F.col(name), 1).otherwise(0))
    rows = rows.withColumns(beside) if beside else rows
    _must_compute(rows, [(r, conditions[r.name].bad) for r in suite.rules if r.kind == "row"])
    quarantined = [(r.name, conditions[r.name].bad) for r in suite.rules if r.kind == "row" and r.on_fail == "quarantine"]
    tagged = tag_rows(rows.withColumns(asked) if asked else rows, [(r.name, broken(r)) for r in contract.rules()] + quarantined)
    tagged = replace(tagged, beside=(*beside, *asked))
    of_kept |= {r.name: F.avg(r.columns[0]) for r in waiting if r.type == MEAN}
    return Gate(contract, suite, tagged, conditions, of_all, of_kept, expectations, {r.name: _not_yet(r, past) for r in waiting})


def _must_compute(rows: DataFrame, rules: Sequence[tuple[Rule, Column]]) -> None:
    """Let Spark say what it can not compute: of all rules at once, for each asked alone costs 15 ms, and one by one only to name the broken one.

    Raises:
        ContractBroken: a rule does not fit the rows.
    """
    try:
        rows.select(*[bad for _, bad in rules])
    except Exception as error:
        for rule, bad in rules:
            try:
                rows.select(bad)
            except Exception as alone:
                raise _broken_rule(rule, "is broken", str(alone)) from alone
        raise _broken_rule(rules[0][0], "or one of the rules below it is broken", str(error)) from error


def ready() -> None:
    """Import what judging needs: 4 s of Python, which are free while something else starts."""
    gx.ready()


def _shared(rows: DataFrame, columns: Sequence[str], rule: Rule | None) -> DataFrame:
    """Values of these columns that several rows have, with their number."""
    return rows.where(_compared(columns, rule)).groupBy(*columns).count().where("count > 1")


def _compared(columns: Sequence[str], rule: Rule | None) -> Column:
    """Whether a row is compared with others: by GX's `ignore_row_if`, without it where it has any of these values."""
    ignored = rule.kwargs.get("ignore_row_if") if rule is not None else None
    if ignored == "never":
        return F.lit(True)
    return reduce(and_ if ignored == "any_value_is_missing" else or_, [F.col(c).isNotNull() for c in columns])


def _broken_rule(rule: Rule, how: str, why: str) -> ContractBroken:
    # Of a worker's error the last line says what it was, of the JVM's the first.
    lines = [line.strip() for line in why.splitlines() if line.strip()] or [why]
    told = lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
    return ContractBroken(f"{rule.place}: the rule {rule.type} {how}: {told[:500]}", next_step="mend it there")


def _against(rule: Rule, past: History) -> Rule:
    """A rule with the figures of the last batches in place of their names."""
    try:
        return replace(rule, kwargs=gx.resolved(rule.kwargs, past.values)) if rule.needs else rule
    except ValueError as error:
        raise _broken_rule(rule, "is broken", str(error)) from None


def _not_yet(rule: Rule, past: History) -> Check:
    told = f"{rule.type} on {', '.join(rule.columns) or 'the batch'}: not asked: {past.batches} of {rule.batches} accepted batches to compare with"
    limits = {k: v for k, v in rule.kwargs.items() if k not in ("column", "column_A", "column_B")}
    column = ", ".join(rule.columns) or None
    asked = json.dumps(limits, default=str)[:2000]
    return Check(rule.type, column, rule.severity, True, "not asked", asked, None, told, rule.on_fail, "history", why=rule.why[:_WHY])


def _unique(columns: Sequence[str]) -> str:
    """The reason of rows that share what the contract says is unique."""
    return f"not_unique:{','.join(columns)}"


def _counted(rule: Rule) -> bool:
    """Whether the rows that break a unique rule are counted by us: GX counts those under a row_condition."""
    return rule.kind == "unique" and not rule.kwargs.get("row_condition")


def _unique_check(columns: tuple[str, ...], severity: Severity, left: int, number: int, examples: Sequence[str], why: str) -> Check:
    type_, of = "expect_column_values_to_be_unique" if len(columns) == 1 else "expect_compound_columns_to_be_unique", ", ".join(columns)
    return Check(
        type_, of, severity, not number, f"{number} of {left + number} unexpected", "{}", number,
        f"{type_} on {of}: {'FAILS' if number else 'holds'}: {number:,} of {left + number:,} rows share theirs with another{_such_as(examples)}",
        "quarantine", "keys", left + number, tuple(examples), why[:_WHY],
    )  # fmt: skip


def _row_check(rule: RowRule, rows: int, number: int, examples: Sequence[str]) -> Check:
    about, column = f"{rule.kind} on {rule.column.name}", rule.column
    asked = {
        "missing": "required",
        "not_allowed": f"one of {', '.join(column.allowed or ())}",
        "out_of_range": column.span(),
        "wrong_shape": ", ".join(
            f"{name} {said}"
            for name, said in (("pattern", column.pattern), ("at least", column.shortest), ("at most", column.longest))
            if said is not None
        ),
    }[rule.kind]
    return Check(
        rule.kind, column.name, "critical", not number, f"{number} of {rows} unexpected", asked[:2000], number,
        f"{about}: {'FAILS' if number else 'holds'}: {number:,} of {rows:,} rows, asked {asked[:300]}{_such_as(examples)}",
        "quarantine", "one pass", rows, tuple(examples),
    )  # fmt: skip


def _check(rule: Rule, result: Mapping[str, Any], by: str, rows: int, examples: Sequence[str]) -> Check:
    seen = cast(dict[str, Any], result.get("result") or {})
    columns, unexpected = ", ".join(rule.columns), seen.get("unexpected_count")
    observed = (
        json.dumps(seen["observed_value"], default=str) if "observed_value" in seen else f"{unexpected} of {seen.get('element_count')} unexpected"
    )
    limits = {k: v for k, v in rule.kwargs.items() if k not in ("column", "column_A", "column_B")}
    success, about = bool(result["success"]), f" on {columns}" if columns and len(columns) < 80 else ""
    sentence = f"{rule.type}{about}: {'holds' if success else 'FAILS'}: saw {observed[:300]}, asked {json.dumps(limits, default=str)[:300]}"
    if unexpected and not success:
        sentence += f"; {unexpected:,} rows{_such_as(examples)}"
    return Check(
        rule.type, columns or None, rule.severity, success, observed[:2000], json.dumps(limits, default=str)[:2000], unexpected, sentence,
        rule.on_fail, by, rows, tuple(examples) if not success else (), rule.why[:_WHY],
    )  # fmt: skip


def _such_as(examples: Sequence[str]) -> str:
    return f", such as {'; '.join(examples)[:500]}" if examples else ""
