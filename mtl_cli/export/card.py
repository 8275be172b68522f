"""The card of a bundle: what it predicts, from which data, how well, how fast, and how it is used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.errors import some


@dataclass(frozen=True)
class Variant:
    """One way to run the model: bytes of its files, and milliseconds for 1 row and for 256."""

    name: str
    size: int
    one: float
    many: float


def card(
    manifest: Mapping[str, Any], name: str, summary: Mapping[str, Any], fingerprints: Mapping[str, Any],
    variants: Sequence[Variant],
) -> str:  # fmt: skip
    """Return the text of a card."""
    lines = [f"# {name}", "", f"Licence: {manifest['licence'] or 'not given'}", "", "## What it predicts", ""]
    for task, told in manifest["tasks"].items():
        classes = f"; classes {some(told['classes'])}" if told["classes"] else ""
        lines.append(f"- `{task}` ({told['kind'].rpartition('.')[2]}): {some(told['columns'])}{classes}")
    lines += ["", "## Use", "", "```python", "import mtl_cli", "", f'mtl_cli.load("{name}").predict(rows)', "```", ""]
    if manifest["model"] == "onnx":
        lines += ["```", f"mtl-serve bundle={name}", "```", ""]
    lines += ["## Data", "", "| dataset | files | SHA-256 |", "| --- | --- | --- |"]
    for dataset, files in fingerprints.items():
        lines += [f"| {dataset} | {key} | `{each['digest']}` |" for key, each in files.items()]
    lines += ["", "## Metrics", "", "| split | metric | value |", "| --- | --- | --- |"]
    for split, values in (("validation", summary.get("best_val")), ("test", summary.get("test"))):
        kept = {key: each for key, each in (values or {}).items() if key.split("/")[0] in manifest["tasks"]}
        lines += [f"| {split} | {key} | {each:.4g} |" for key, each in kept.items() if isinstance(each, float | int)]
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
    lines += ["", "## How it was made", "", "```", *manifest["commands"], "```", ""]
    return "\n".join(lines)


def summary_of(checkpoint: Path) -> dict[str, Any]:
    """Return summary.json of the run that a checkpoint lies in, empty where there is none."""
    path = checkpoint.parent.parent / "summary.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
