"""Whether runs may be compared: other data or splits refuse a comparison, other budgets are marked."""

from collections.abc import Iterator, Mapping
from typing import Any

from mtl_cli.answers.runs import DataFacts, Run
from mtl_cli.answers.settings import Setting

PLACES = ("path", "root", "source", "train_path")
"""Options of a dataset that name its data: compared where runs do not have digests of their files."""
DIVIDED_BY = (
    "val_path", "test_path", "split_column", "group_column", "id_column", "time_column", "val_fraction",
    "test_fraction", "split_seed", "folds",
)  # fmt: skip
"""Options of a dataset that divide its rows."""
BUDGET = ("trainer.max_epochs", "trainer.max_steps", "data.batch_size", "trainer.accumulate")


def refusals(own: Run, base: Run) -> Iterator[str]:
    """Yield why differences between two runs would not be those of their settings."""
    for name in own.data.keys() & base.data.keys():
        yield from _other_data(name, own.data[name], base.data[name])
        yield from _other_split(name, own.data[name], base.data[name])


def _other_data(name: str, mine: DataFacts, theirs: DataFacts) -> Iterator[str]:
    if mine.files and theirs.files:
        for file in sorted(mine.files.keys() & theirs.files.keys()):
            if mine.files[file] != theirs.files[file]:
                yield f"other data: what {name} reads as {file} holds something else"
        return
    for key in PLACES:
        if mine.options.get(key) != theirs.options.get(key):
            yield f"other data: {name}.{key} is {mine.options.get(key)}, not {theirs.options.get(key)}"


def _other_split(name: str, mine: DataFacts, theirs: DataFacts) -> Iterator[str]:
    for key in DIVIDED_BY:
        if mine.options.get(key) != theirs.options.get(key):
            yield f"other split: {name}.{key} is {mine.options.get(key)}, not {theirs.options.get(key)}"
    for split in ("val", "test"):
        rows = mine.rows.get(split), theirs.rows.get(split)
        if None not in rows and rows[0] != rows[1]:
            yield f"other split: {name} has {rows[0]} {split} rows, not {rows[1]}"


def marks(own: Run, base: Run) -> Iterator[str]:
    """Yield what else differs that a reader should know."""
    spent = [key for key in BUDGET if _value(own, key) != _value(base, key)]
    for key in spent:
        yield f"other budget: {key} is {_value(own, key)}, not {_value(base, key)}"
    steps = own.summary.get("steps"), base.summary.get("steps")
    early = any(_value(run, "early_stopping.patience") is not None for run in (own, base))
    if not spent and not early and None not in steps and steps[0] != steps[1]:
        yield f"other budget: {steps[0]} steps, not {steps[1]}"
    for name in own.data.keys() & base.data.keys():
        rows = own.data[name].rows.get("train"), base.data[name].rows.get("train")
        if None not in rows and rows[0] != rows[1]:
            yield f"other budget: {name} has {rows[0]} training rows, not {rows[1]}"
    for key in ("precision", "device"):
        values = own.summary.get(key), base.summary.get(key)
        if None not in values and values[0] != values[1]:
            yield f"other {key}: {values[0]}, not {values[1]}"


def mixed_data(setting: Setting) -> str:
    """Return that the runs of one setting read different files, if they do."""
    for name in setting.first.data:
        for run in setting.runs.values():
            files, first = run.data[name].files, setting.first.data[name].files
            if any(files[file] != first[file] for file in files.keys() & first.keys()):
                return f"its runs are on different data: {run.path} is not on that of {setting.first.path}"
    return ""


def _value(run: Run, key: str) -> Any:  # noqa: ANN401  any YAML value
    node: Any = run.config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
