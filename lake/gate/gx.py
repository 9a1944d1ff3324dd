"""Great Expectations as the gate uses it: what each expectation is on Spark, its conditions and aggregates as columns, its verdict.

GX computes a metric by a job of its own. Most of its metrics are columns first, though: the condition of a row rule, the aggregate of a
mean. Taken as columns they ride on the pass that writes the rows, and GX's own code makes its verdict of the figures that come back
(`validated`); what is no such column, GX computes itself. Conditions, graphs and providers are semi-private: GX is pinned exactly, and
`make parity` holds every expectation type to what stock GX says.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import and_
from types import MappingProxyType
from typing import Any, Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

BATCH = "batch"
# The cheapest setting that still gives every count (17 jobs in place of 29 for 12 rules); rows are named only for what failed.
_ASKING: Mapping[str, Any] = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}
_OF_A_TABLE = frozenset({"table.columns", "table.column_types", "table.row_count"})
# They compare with a table of another data source, which a batch has not beside it; GX's Spark engine refuses the second by itself.
_OF_TWO_TABLES = frozenset({"expect_query_results_to_match_comparison", "expect_table_row_count_to_equal_other_table"})
_TYPED = frozenset({"expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"})  # Spark answers them by its columns' types
_FROM_OTHERS = frozenset({"column.non_null_proportion", "column.unique_proportion"})
_PARTIAL = (".condition", ".aggregate_fn", ".map")
_UNIQUE = frozenset({"column_values.unique", "compound_columns.unique"})

# row: each row is judged alone. unique: rows that share their values. batch: only all rows together say whether it holds.
Kind = Literal["row", "unique", "batch"]


def ready() -> None:
    """Import what judging needs: 4 s of Python, which are free while something else starts."""
    library()


@cache
def library() -> Any:
    """The package, without the warnings of what it imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
    return gx


def types() -> list[str]:
    """Every expectation type that GX offers on Spark, those of the project's own subclasses too; sorted."""
    library()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    return sorted(t for t in list_registered_expectation_implementations() if kind(t) is not None)


def made(type_: str, kwargs: Mapping[str, Any]) -> Any:
    """The expectation.

    Raises:
        LookupError: GX knows no such type.
        ValueError: it does not take these arguments.
    """
    library()
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    given: dict[str, Any] = {**kwargs, "batch_id": BATCH}
    try:
        with _as_pinned():
            return get_expectation_impl(type_)(**given)
    except ExpectationNotFoundError:
        raise LookupError(type_) from None
    except TypeError as error:
        raise ValueError(str(error)) from None


@contextlib.contextmanager
def _as_pinned() -> Generator[None]:
    """A row_condition as SQL text: GX 1 takes it, 2 will not, and the pin says which."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* deprecated as of GX Core 1.9.0", DeprecationWarning)
        yield


def resolved(kwargs: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with their `$PARAMETER` expressions as GX computes them.

    Raises:
        ValueError: one can't be computed.
    """
    library()
    from great_expectations.core.suite_parameters import parse_suite_parameter
    from great_expectations.exceptions.exceptions import SuiteParameterError

    def value(given: Any) -> Any:
        if isinstance(given, Mapping):
            if set(given) == {"$PARAMETER"}:
                return parse_suite_parameter(str(given["$PARAMETER"]), dict(values))
            return {k: value(v) for k, v in given.items()}
        return [value(v) for v in given] if isinstance(given, list) else given

    try:
        return {name: value(given) for name, given in kwargs.items()}
    except SuiteParameterError as error:
        raise ValueError(str(error)) from None


@cache
def kind(type_: str) -> Kind | None:
    """What an expectation type judges on Spark; None where GX offers it for other engines only."""
    library()
    from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation
    from great_expectations.expectations.registry import get_expectation_impl

    if type_ in _OF_TWO_TABLES:
        return None
    impl = get_expectation_impl(type_)
    if not issubclass(impl, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation):
        return "batch"
    metric = str(impl.map_metric)
    if metric in _UNIQUE:
        return "unique"
    if _provider(f"{metric}.condition") is None:
        return "batch" if type_ in _TYPED else None
    return "row" if _lazy(f"{metric}.condition") else "batch"


def _provider(metric: str) -> tuple[Any, Any] | None:
    from great_expectations.exceptions.exceptions import MetricProviderError
    from great_expectations.expectations.registry import get_metric_provider

    try:
        return get_metric_provider(metric, _no_engine())
    except MetricProviderError:
        return None


@cache
def _no_engine() -> Any:
    """An engine that stands for Spark where only its class is asked: making a real one starts a session."""
    from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine

    class Named(SparkDFExecutionEngine):
        def __init__(self) -> None:
            pass

    return Named()


@cache
def _lazy(metric: str) -> bool:
    """Whether a condition or aggregate is a column of its rows alone: no window, no figure that rows must be read for (a z-score asks the mean)."""
    from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
    from great_expectations.validator.metric_configuration import MetricConfiguration

    found = _provider(metric)
    if found is None or metric.removesuffix(".condition") in _UNIQUE:
        return False
    provider, function = found
    if getattr(function, "metric_fn_type", None) == MetricPartialFunctionTypes.WINDOW_CONDITION_FN:
        return False
    anything = {"column": "a", "column_A": "a", "column_B": "b", "column_list": ["a", "b"]}
    needs = provider.get_evaluation_dependencies(
        metric=MetricConfiguration(metric, anything, {}), configuration=None, execution_engine=_no_engine(), runtime_configuration={}
    )
    return all(m.metric_name in _OF_A_TABLE or (m.metric_name.endswith(_PARTIAL) and _lazy(m.metric_name)) for m in needs.values())


# -- expectations as columns ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """A row rule on given rows: `bad` is true or false, never null; `figures` (metric id -> aggregate) are what its verdict needs beside.

    `bad` names the columns of the rows, and those of `beside`, which the rows must be given first.
    """

    bad: Column
    bad_id: str
    figures: Mapping[str, Column]
    beside: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Judged:
    """What GX says of an expectation: its result, or what the rule broke by; and whether figures were enough for it."""

    result: Mapping[str, Any] | None
    broken: str
    by_figures: bool


class Judge:
    """GX's engine over given rows, which are read only where a metric is asked that no figure gives."""

    def __init__(self, rows: DataFrame) -> None:
        library()
        from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine

        self._rows = rows
        self._engine: Any = SparkDFExecutionEngine(persist=False)
        # GX asks for "the" session of this process, but the rows live in a session of their own, and so would a query's view of them.
        self._engine.spark = rows.sparkSession
        self._engine.load_batch_data(BATCH, rows)

    def condition(self, expectation: Any) -> Condition:
        """A row rule as columns, with the guards of its row_condition and its ignore_row_if.

        Raises:
            ValueError: the rule does not fit these rows: it is broken.
        """
        from great_expectations.validator.metric_configuration import MetricConfiguration

        metric, wanted = str(expectation.map_metric), self._wanted(expectation)
        count = wanted[f"{metric}.unexpected_count"]
        domain: dict[str, Any] = dict(count.metric_domain_kwargs)
        plain = {k: v for k, v in domain.items() if k not in ("row_condition", "condition_parser", "ignore_row_if")}
        where, counted = self._guards({k: domain.get(k) for k in ("row_condition", "condition_parser")}), self._guards(domain)
        judge, beside = self, dict[str, Column]()
        if where and (column := plain.get("column")):
            # GX sees no row that a row_condition leaves out. A condition that is a Python function would: Spark computes it before any other.
            beside[name := f"_where_{_short(count.id)}"] = F.when(_all(where), F.col(column))
            judge, plain = Judge(self._rows.withColumns(beside)), plain | {"column": name}
        asked = MetricConfiguration(f"{metric}.condition", plain, dict(count.metric_value_kwargs or {}))
        found, broken = judge._resolved([asked])
        if asked.id not in found:
            raise ValueError("; ".join(dict.fromkeys(broken.values())))
        condition: Column = found[asked.id][0]
        figures: dict[str, Column] = {}
        for name, m in wanted.items():
            if name == "table.row_count":
                figures[m.id] = _number(where)
            elif name.endswith(".filtered_row_count"):
                figures[m.id] = _number(counted)
            elif name == "column_values.nonnull.unexpected_count" and m.id != count.id:
                figures[m.id] = _number([*where, F.col(domain["column"]).isNull()])
        return Condition(_all([*counted, condition]), count.id, figures, beside)

    def aggregates(self, expectation: Any) -> dict[str, Column]:
        """The metrics that an expectation is judged by and that are one aggregate over all rows, by their ids."""
        nodes = self._nodes(self._wanted(expectation).values())
        named = {(m.metric_name, m.metric_domain_kwargs_id, m.metric_value_kwargs_id): m for m in nodes}
        found: dict[str, Column] = {}
        for (name, domain, value), m in named.items():
            if any(m.metric_domain_kwargs.get(k) for k in ("row_condition", "ignore_row_if")):
                continue
            partial = named.get((f"{name}.aggregate_fn", domain, value))
            if name == "table.row_count":
                found[m.id] = F.count(F.lit(1))
            elif partial is not None and "distinct" not in name and _lazy(partial.metric_name):  # Spark observes no distinct counts
                column, computed, _ = self._resolved([partial])[0].get(partial.id, (None, {}, {}))
                if column is not None and not computed.get("filter_conditions"):
                    found[m.id] = column
        return found

    def validated(self, expectations: Sequence[Any], figures: Mapping[Any, Any]) -> list[Judged]:
        """GX's own result of each expectation, by the figures as far as they go; what they leave open GX computes from the rows, all in one graph."""
        wanted = [self._wanted(e) for e in expectations]
        known = {**figures, **{m.id: [] for one in wanted for name, m in one.items() if name.endswith(".unexpected_values")}}
        found, aborted = self._resolved([m for one in wanted for m in one.values()], known)
        judged: list[Judged] = []
        for expectation, metrics in zip(expectations, wanted, strict=True):
            open_ = {m.id: m.metric_name for m in self._nodes([m for m in metrics.values() if m.id not in known]) if m.id not in known}
            broken = [aborted[i] for i in open_ if i in aborted]
            by_figures = not any(_reads(name) for name in open_.values())
            if broken:
                judged.append(Judged(None, "; ".join(dict.fromkeys(broken)), by_figures))
                continue
            try:
                with _as_pinned():
                    result = expectation.metrics_validate(found, runtime_configuration=dict(_ASKING), execution_engine=self._engine)
            except Exception as error:  # noqa: BLE001 - whatever a rule breaks by, it is a broken rule and told as one
                judged.append(Judged(None, _first_line(str(error)), by_figures))
                continue
            judged.append(Judged(result.to_json_dict(), "", by_figures))
        return judged

    def unexpected(self, expectation: Any) -> Any:
        """The id of the metric that counts the rows which break a map expectation."""
        return self._wanted(expectation)[f"{expectation.map_metric}.unexpected_count"].id

    def _wanted(self, expectation: Any) -> dict[str, Any]:
        """The metrics that its verdict is made of, by name."""
        with _as_pinned():
            asked = expectation.get_validation_dependencies(execution_engine=self._engine, runtime_configuration=dict(_ASKING))
        return dict(asked.metric_configurations)

    def _graph(self, metrics: Iterable[Any]) -> Any:
        from great_expectations.validator.validation_graph import ValidationGraph

        graph = ValidationGraph(execution_engine=self._engine)
        for m in metrics:
            graph.build_metric_dependency_graph(metric_configuration=m, runtime_configuration=dict(_ASKING))
        return graph

    def _nodes(self, metrics: Iterable[Any]) -> list[Any]:
        """These metrics and all that they are computed from, once each."""
        ends = [node for edge in self._graph(metrics).edges for node in (edge.left, edge.right) if node is not None]
        return list({m.id: m for m in ends}.values())

    def _resolved(self, metrics: Sequence[Any], known: Mapping[Any, Any] = MappingProxyType({})) -> tuple[dict[Any, Any], dict[Any, str]]:
        """(all metrics with their values, and by what others broke); what is known is not computed again."""
        found = dict(known)
        graph = self._graph([m for m in metrics if m.id not in found])
        if not graph.edges:
            return found, {}
        if all(m.metric_name.endswith(_PARTIAL) for m in metrics):
            # GX asks the number of rows for each map metric, and makes no use of it where only the column is wanted: one job less.
            found |= {m.id: -1 for edge in graph.edges for m in (edge.left, edge.right) if m is not None and m.metric_name == "table.row_count"}
        aborted = graph._resolve(metrics=found, runtime_configuration=dict(_ASKING), show_progress_bars=False)
        return found, {i: _broken(told) for i, told in aborted.items()}

    def _guards(self, domain: Mapping[str, Any]) -> list[Column]:
        """The conditions under which GX counts a row: what its engine would filter by, asked of it and noted down."""
        noted = _Noted(self._rows)
        cache = self._engine.batch_manager.batch_data_cache
        cache["noted"] = noted
        try:
            self._engine.get_domain_records({k: v for k, v in domain.items() if k != "batch_id"} | {"batch_id": "noted"})
        finally:
            del cache["noted"]
        return noted.conditions


class _Noted:
    """Rows as an engine takes them, which notes what they are filtered by."""

    def __init__(self, rows: DataFrame) -> None:
        self.schema, self.conditions = rows.schema, list[Column]()

    @property
    def dataframe(self) -> _Noted:
        return self

    def filter(self, condition: Column | str) -> _Noted:
        self.conditions.append(F.expr(condition) if isinstance(condition, str) else condition)
        return self


def _short(id_: object) -> str:
    return hashlib.sha256(repr(id_).encode()).hexdigest()[:12]


def _all(conditions: Sequence[Column]) -> Column:
    """Whether all conditions hold: true or false, a null counts as no."""
    return reduce(and_, [F.coalesce(c, F.lit(False)) for c in conditions])


def _number(conditions: Sequence[Column]) -> Column:
    """How many rows meet all conditions."""
    return F.sum(F.when(_all(conditions), 1).otherwise(0)) if conditions else F.count(F.lit(1))


def _reads(metric: str) -> bool:
    """Whether a metric is computed from rows: not the columns that others are made of, and not what is computed from other metrics."""
    return not metric.endswith(_PARTIAL) and metric not in _FROM_OTHERS and not (metric.startswith("table.") and metric != "table.row_count")


def _broken(told: Mapping[str, Any]) -> str:
    """What a metric broke by, of GX's account of it."""
    info = told.get("exception_info") or told
    said = [getattr(i, "exception_message", None) or str(i) for i in (info if isinstance(info, list | set | tuple) else [info])]
    return _first_line("; ".join(said))


def _first_line(said: str) -> str:
    return next((line.strip() for line in said.splitlines() if line.strip()), said)[:500]
