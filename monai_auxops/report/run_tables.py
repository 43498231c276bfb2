"""The tables of a run's best epoch: its cases, its confusion matrix, and its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai_auxops.report.discover import nearest_file
from monai_auxops.report.tables import Table, Wanted, case_of, numeric_columns, read_table

if TYPE_CHECKING:
    from monai_auxops.report.run import Run

MAX_TABLES = 50


def read_tables(run: Run) -> None:
    """Read the tables of the best epoch: cases, confusion matrix and pictures."""
    best = run.best
    identity = run.facts.get("run")
    wanted = Wanted(None if best is None else best.step, identity if isinstance(identity, str) else None)
    paths = [p for p in sorted(run.folder.rglob("*_cases.csv")) if p.is_file() and p.name != "worst_cases.csv"]
    tables = [read_table(path, wanted, run.problems, run.remarks) for path in paths[:MAX_TABLES]]
    run.cases = join_tables([table for table in tables if table is not None and table.rows], run)
    if run.cases is not None:
        name_as_measured(run.cases, run)
    run.matrix = read_nearest(run, "confusion_matrix.csv", wanted)
    run.worst = read_nearest(run, "worst_cases.csv", wanted)


def read_nearest(run: Run, name: str, wanted: Wanted) -> Table | None:
    """Read the rows of one epoch of a table that each evaluator has in a folder of its own, of the first evaluator."""
    path = nearest_file(run.folder, name)
    table = None if path is None else read_table(path, wanted, run.problems, run.remarks)
    return table if table is not None and table.rows else None


def join_tables(tables: list[Table], run: Run) -> Table | None:
    """Join tables of the same cases, with equal columns once; report tables of other cases."""
    if not tables:
        return None
    metric = run.judge.metric
    first, *others = sorted(tables, key=lambda table: metric not in table.columns)  # stable: the deciding metric first
    for table in others:
        if have_same_cases(first, table):
            add_columns(first, table)
        else:
            cases = f"{len(table.rows):,} rows of epoch {table.epoch}"
            run.remarks.append(
                f"{table.path.name}: not shown, because its cases differ from those in {first.path.name} ({cases})."
            )
    leave_out_equal(first, run)
    return first


def have_same_cases(first: Table, second: Table) -> bool:
    """Tell whether two tables have one row for each of the same cases, in the same epoch."""
    cases, others = ([case_of(row) for row in table.rows] for table in (first, second))
    unique = len(set(cases)) == len(cases) and len(set(others)) == len(others)
    return unique and first.epoch == second.epoch and set(cases) == set(others)


def add_columns(table: Table, other: Table) -> None:
    """Add the columns of another table of the same cases that ``table`` lacks."""
    row_of = {case_of(row): row for row in other.rows}
    for name in numeric_columns(other):
        if name not in table.columns:
            table.columns.append(name)
            for row in table.rows:
                row[name] = row_of[case_of(row)][name]


def leave_out_equal(table: Table, run: Run) -> None:
    """Leave out columns that equal an earlier one in every case, unless all cases have one value, such as 0."""
    seen: dict[tuple[str, ...], str] = {}
    for name in numeric_columns(table):
        values = tuple(row[name] for row in table.rows)
        if values in seen and len(set(values)) > 1:
            table.columns.remove(name)
            run.remarks.append(f"{name} is not shown, because it equals {seen[values]} in every case.")
        seen.setdefault(values, name)


def name_as_measured(table: Table, run: Run) -> None:
    """Rename a column to the value that it repeats, such as an average to its aux-op's tag, if the run says so."""
    for name, same in run.same.items():
        if name in table.columns and same not in table.columns:
            table.columns[table.columns.index(name)] = same
            for row in table.rows:
                row[same] = row.pop(name)
            run.remarks.append(f"{name} equals {same} by definition and is shown as {same}.")
