"""The YAML that mtl-init writes: a dataset and a task a target, commented."""

import json
import re
from collections.abc import Mapping, Sequence

from mtl_cli.tables.guess import Guess
from mtl_cli.tables.labels import in_order
from mtl_cli.tables.survey import Survey

RESERVED = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n|~|\.nan|\.inf|nan|inf")
MAX_LISTED = 50
HEAD = "head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: [], dropout: 0.0, activation: relu, init: default}"
IMBALANCE = """\
    label_smoothing: 0.0
    class_weights: null  # null, balanced, or a list: one factor a class
    focal_gamma: 0.0     # exponent of the focal loss; 0 = cross-entropy, 2 is usual
"""
TASKS = {
    "binary": ("mtl_cli.tasks.binary.Binary", IMBALANCE, "auc"),
    "class": ("mtl_cli.tasks.classification.Classification", IMBALANCE, "accuracy"),
    "ordinal": ("mtl_cli.tasks.ordinal.Ordinal", "", "qwk"),
    "multilabel": ("mtl_cli.tasks.multilabel.Multilabel", "", "map"),
    "real": ("mtl_cli.tasks.regression.Regression", "", "rmse"),
    "count": ("mtl_cli.tasks.count.Count", "", "deviance"),
    "survival": ("mtl_cli.tasks.survival.Survival", "", "concordance"),
    "ranking": ("mtl_cli.tasks.ranking.Ranking", "    k: 10  # rows of a group that NDCG looks at\n", "auc"),
}
"""Class, further arguments and primary metric of the task for each kind of target."""
SECOND = {
    "binary": "f1, accuracy, log_loss", "class": "f1", "ordinal": "mae, accuracy", "multilabel": "f1, f1_micro",
    "real": "mae, r2", "count": "mae", "survival": "", "ranking": "log_loss, ndcg",
}  # fmt: skip


def dataset_yaml(survey: Survey, path: str, group: str | None) -> str:
    """Return the dataset's file."""
    options = survey.file.options
    lines = [
        f"# Written by mtl-init from {path}: {survey.rows} rows, {len(survey.file.columns)} columns. Edit it freely.",
        "# Every option with its default: mtl-train --cfg job, or conf/dataset/tabular.yaml of the package.",
        "defaults: [tabular, _self_]",
        f"path: {quoted(path)}  # below data.root where that is set, else below the working directory",
    ]
    if options.format != "auto":
        lines.append(f"format: {options.format}")
    if survey.file.is_text and survey.file.delimiter != {"tsv": "\t"}.get(survey.file.format, ","):
        lines.append(f"delimiter: {json.dumps(survey.file.delimiter)}")
    if options.encoding != "utf-8":
        lines.append(f"encoding: {options.encoding}")
    if survey.missing:
        values = [*options.missing_values, *survey.missing]
        lines.append(f"missing_values: {listed(values)}  # {', '.join(survey.missing)}: the only text among numbers")
    if survey.categorical:
        lines.append(
            f"categorical: {listed(survey.categorical)}  # numbers and text; other columns are found by looking"
        )
    if survey.drop:
        lines.append("drop:")
        lines += [f"  - {quoted(name)}  # {reason}" for name, reason in survey.drop.items()]
    if group:
        lines.append(f"group_column: {quoted(group)}  # no group is in two splits")
    lines.append("targets:")
    for guess in survey.targets:
        lines.append(f"  # {guess.name}: {guess.why}")
        lines.append(f"  {guess.name}: {{{', '.join(target_items(guess, survey.target_missing))}}}")
    return "\n".join(lines) + "\n"


def target_items(guess: Guess, missing: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what stands in the braces of a target."""
    items = [f"kind: {guess.kind}"]
    single = len(guess.columns) == 1
    items.append(f"column: {quoted(guess.names[0])}" if single else f"columns: {listed(guess.names)}")
    if guess.kind in ("class", "binary", "ordinal") and len(guess.columns[0].values) <= MAX_LISTED:
        items.append(f"classes: {listed(in_order(guess.columns[0].values))}")
    absent = [value for name in guess.names for value in missing.get(name, ())]
    return [*items, f"missing: {listed(absent)}"] if absent else items


def task_yaml(name: str, guess: Guess, dataset: str) -> str:
    """Return the file of a task."""
    target, extra, primary = TASKS[guess.kind]
    others = f"; also {SECOND[guess.kind]}" if SECOND[guess.kind] else ""
    return (
        "# @package _global_\n"
        f"# Written by mtl-init. {guess.kind}: {guess.why}. Selected by {primary}{others}.\n"
        f"defaults:\n  - /dataset@tasks.{name}.dataset: {dataset}\n"
        f"tasks:\n  {name}:\n    _target_: {target}\n    target: {guess.name}\n"
        "    weight: 1.0  # factor of this task's loss; 0 = not trained, still evaluated\n"
        f"{extra}    {HEAD}\n"
    )


def listed(values: Sequence[str]) -> str:
    """Return a YAML list in one line."""
    return f"[{', '.join(map(quoted, values))}]"


def quoted(text: str) -> str:
    """Return a text as YAML reads it back as that text."""
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*( [\w./-]+)*", text, re.ASCII) and not RESERVED.fullmatch(text)
    return text if plain else json.dumps(text, ensure_ascii=False)
