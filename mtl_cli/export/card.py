"""The card of a bundle: what it predicts, from which data, how well, how fast, and how it is used."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.errors import printable, some


@dataclass(frozen=True)
class Variant:
    """One way to run the model: bytes of its files, and milliseconds for 1 row and for 256."""

    name: str
    size: int
    one: float
    many: float


def card(
    manifest: Mapping[str, Any], name: str, summary: Mapping[str, Any], fingerprints: Mapping[str, Any],
    variants: Sequence[Variant], intervals: Mapping[str, Any],
) -> str:  # fmt: skip
    """Return the text of a card; `intervals` are those of metrics on test rows."""
    lines = [f"# {name}", "", f"Licence: {manifest['licence'] or 'not given'}", "", "## What it predicts", ""]
    for task, told in manifest["tasks"].items():
        classes = f"; classes {codes(told['classes'])}" if told["classes"] else ""
        lines.append(f"- `{task}` ({told['kind'].rpartition('.')[2]}): {codes(told['columns'])}{classes}")
    lines += ["", "## Use", "", "```python", "import mtl_cli", "", f'mtl_cli.load("{name}").predict(rows)', "```", ""]
    if manifest["model"] == "onnx":
        lines += ["```", f"mtl-serve bundle={name}", "```", ""]
    lines += ["## Data", "", "| dataset | files | SHA-256 |", "| --- | --- | --- |"]
    for dataset, files in fingerprints.items():
        lines += [f"| {dataset} | {code(key)} | `{each['digest']}` |" for key, each in files.items()]
    lines += ["", "## Metrics", "", *metric_lines(manifest, summary, intervals), *privacy_lines(summary)]
    check = manifest["check"]
    lines += [
        "", "## Check", "",
        f"{check['rows']} validation rows were replayed before the bundle was written. Numbers differ from those of "
        f"the checkpoint by at most {check['numbers']:.1e} (allowed: {check['tolerance']:.0e} of max(1, |x|)), classes "
        f"in {100 * check['classes']:.2f} % of rows.",
    ]  # fmt: skip
    if check["quantised"]:
        lines += ["", "| metric on the validation rows | float32 | int8 |", "| --- | --- | --- |"]
        lines += [f"| {key} | {a:.4f} | {b:.4f} |" for key, (a, b) in check["quantised"].items()]
    lines += ["", "## Size and speed", "", "From rows in memory to columns, on the machine of the export, CPU.", ""]
    lines += ["| variant | size | 1 row | 256 rows |", "| --- | --- | --- | --- |"]
    lines += [f"| {v.name} | {v.size / 1e6:.2f} MB | {v.one:.2f} ms | {v.many:.1f} ms |" for v in variants]
    lines += ["", "## How it was made", "", "```", *map(one_line, manifest["commands"]), "```", ""]
    return "\n".join(lines)


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
    told = summary.get("privacy")
    if not told:
        return []
    spent = "an infinite ε" if told["epsilon"] is None else f"ε = {told['epsilon']:.3g} at δ = {told['delta']:g}"
    return [
        "", "## Privacy", "",
        f"Trained by DP-SGD: {told['steps']} steps spent {spent} (noise {told['noise']:.3g} times the largest gradient "
        f"of a row, {told['clip_norm']:g}). Preprocessing and calibration are computed from the rows without noise.",
    ]  # fmt: skip


def intervals_of(checkpoint: Path) -> dict[str, Any]:
    """Return the intervals of metrics on test rows that the newest evaluation of a checkpoint found, if any."""
    for path in sorted((checkpoint.parent.parent / "evaluations").glob(f"{checkpoint.stem}_test_*/metrics.json"))[::-1]:
        found = read_json(path).get("intervals")
        if isinstance(found, dict):
            return {key: ends for key, ends in found.items() if isinstance(ends, list) and len(ends) == 2}
    return {}


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a file of JSON, empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def summary_of(checkpoint: Path) -> dict[str, Any]:
    """Return summary.json of the run that a checkpoint lies in, empty where there is none."""
    return read_json(checkpoint.parent.parent / "summary.json")
