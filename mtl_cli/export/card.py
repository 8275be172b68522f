"""The card of a bundle: what it predicts, from which data, how well, how fast, and how it is used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_cli.bundles.example import columns_read, described, example
from mtl_cli.errors import printable, some
from mtl_cli.export.provenance import DataFile


@dataclass(frozen=True)
class Variant:
    """One way to run the model: bytes of its files, and milliseconds for 1 row and for 256."""

    name: str
    size: int
    one: float
    many: float


def card(
    manifest: Mapping[str, Any], name: str, summary: Mapping[str, Any], data: Sequence[DataFile],
    variants: Sequence[Variant], intervals: Mapping[str, Any], machine: str,
) -> str:  # fmt: skip
    """Return the text of a card; `intervals` are those of metrics on test rows, `machine` is where it was made."""
    lines = [f"# {name}", "", f"Licence: {manifest['licence'] or 'not given'}", "", "## What it predicts", ""]
    for task, facts in manifest["tasks"].items():
        classes = f"; classes {codes(facts['classes'])}" if facts["classes"] else ""
        lines.append(f"- `{task}` ({facts['kind'].rpartition('.')[2]}): {codes(facts['columns'])}{classes}")
    lines += ["", "## What it takes", "", *input_lines(manifest)]
    lines += ["", "## Use", "", "```python", "import mtl_cli", "", f'predictor = mtl_cli.load("{name}")']
    lines += [f"columns = predictor.predict({use(manifest)})", "```", "", "```", f"mtl-serve bundle={name}", "```", ""]
    lines += ["## Data", "", "| dataset | files | number | SHA-256 |", "| --- | --- | --- | --- |"]
    lines += [f"| {code(each.dataset)} | {code(each.name)} | {each.files} | `{each.digest}` |" for each in data]
    lines += [
        "",
        "## Metrics",
        "",
        *metric_lines(manifest, summary, intervals),
        *decision_lines(manifest),
        *privacy_lines(summary),
    ]
    lines += ["", "## Check", "", *check_lines(manifest["check"])]
    lines += ["", "## Size and speed", "", f"From rows in memory to columns, on the CPU of the export: {machine}.", ""]
    lines += ["| variant | size | 1 row | 256 rows |", "| --- | --- | --- | --- |"]
    lines += [f"| {v.name} | {v.size / 1e6:.2f} MB | {v.one:.2f} ms | {v.many:.1f} ms |" for v in variants]
    lines += ["", "## How it was made", "", "```", *map(one_line, manifest["commands"]), "```", ""]
    return "\n".join(lines)


def input_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what goes in, a line for each kind of column, array, image or sound."""
    lines = []
    for each in manifest["datasets"].values():
        inputs = each["inputs"]
        lines += [f"- {what}: {codes(names)}" for what, names in columns_read(inputs).items()]
        lines += [f"- {text}" for text in (described(inputs),) if text]
    return list(dict.fromkeys(lines)) or ["What the run was trained on; the bundle does not say more."]


def use(manifest: Mapping[str, Any]) -> str:
    """Return an example of inputs, as Python."""
    kinds = {each["inputs"].get("kind") for each in manifest["datasets"].values()}
    if found := example(manifest["datasets"]):
        return one_line(repr(next(iter(found.values()))))
    return {"pictures": '["image.png"]', "sounds": '["sound.wav"]'}.get(str(min(kinds, default="", key=str)), "rows")


def decision_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what was fitted on the validation rows, by task, in words."""
    lines = []
    for task, fitted in manifest["decisions"].items():
        parts = [f"temperature {fitted['temperature']:.3g}"] if fitted["temperature"] != 1.0 else []
        parts += ["decisions by thresholds or costs"] if fitted["decision"] or fitted["thresholds"] else []
        parts += [f"sets of {fitted['coverage']:.0%}"] if fitted["lowest"] is not None else []
        parts += [f"intervals of {fitted['coverage']:.0%}"] if fitted["margins"] else []
        parts += ["survival curves"] if fitted["hazards"] else []
        lines += [f"- {code(task)}: {', '.join(parts)}"] if parts else []
    head = ["", "## Fitted on the validation rows", "", "The metrics above are those of the model without this.", ""]
    return [*head, *lines] if lines else []


def check_lines(check: Mapping[str, Any]) -> list[str]:
    """Return how far the bundle is from the checkpoint, in words."""
    graph = "the graph, before it was quantised," if check["quantised"] else "the bundle"
    lines = [
        f"{check['rows']} validation rows were replayed before the bundle was written. Numbers of {graph} differ from "
        f"those of the checkpoint by at most {check['numbers']:.1e} (allowed: {check['tolerance']:.0e} of max(1, |x|)),"
        f" classes in {100 * check['classes']:.2f} % of rows."
    ]
    if check["quantised"]:
        lines += ["", "| metric on the validation rows | float32 | int8 |", "| --- | --- | --- |"]
        lines += [f"| {code(key)} | {a:.4f} | {b:.4f} |" for key, (a, b) in check["quantised"].items()]
    return lines


def codes(names: Sequence[object]) -> str:
    """Return names of the data, which no reader of Markdown takes for marks or HTML."""
    return some([code(str(name)) for name in names])


def code(text: str) -> str:
    """Return a text as code of Markdown, in a cell of a table too: between more backticks than it has in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 or text != text.strip() or not text else ""
    return f"{fence}{space}{one_line(text)}{space}{fence}".replace("|", "\\|")


def one_line(text: str) -> str:
    """Return a text with line breaks and control characters as escapes."""
    return printable(text, "")


def metric_lines(manifest: Mapping[str, Any], summary: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[str]:
    """Return a table of the metrics of the run, with the intervals of those on test rows where mtl-eval found some."""
    lines = ["| split | metric | value | 95 % |", "| --- | --- | --- | --- |"]
    for split, values in (("validation", summary.get("best_val")), ("test", summary.get("test"))):
        for key, each in (values or {}).items():
            if key.split("/")[0] in manifest["tasks"] and isinstance(each, float | int):
                ends = intervals.get(key) if split == "test" else None
                lines.append(f"| {split} | {key} | {each:.4g} | {f'{ends[0]:.4g} to {ends[1]:.4g}' if ends else ''} |")
    return lines if intervals else [*lines, "", "`mtl-eval checkpoint=RUN` before the export adds intervals."]


def privacy_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return what a private run spent, in words."""
    dp = summary.get("privacy")
    if not dp:
        return []
    spent = "an infinite ε" if dp["epsilon"] is None else f"ε = {dp['epsilon']:.3g} at δ = {dp['delta']:g}"
    return [
        "", "## Privacy", "",
        f"Trained by DP-SGD: {dp['steps']} steps spent {spent} (noise {dp['noise']:.3g} times the largest gradient "
        f"of a row, {dp['clip_norm']:g}). Preprocessing and calibration are computed from the rows without noise.",
    ]  # fmt: skip
