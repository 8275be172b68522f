"""Run directories with made-up metrics, and runs in memory."""

import json
from pathlib import Path

import yaml

from mtl_cli.answers.runs import Run

COSTS = {"parameters": {"total": 1000}, "flops": {"total": 5000}, "samples_per_second": 10.0, "seconds": 2.0}


def config(sharing="hard", seed=0, tasks=("a", "b"), folds=None, fold=0, **knobs):
    """A config with what reports look at; `trainer__max_epochs=3` sets trainer.max_epochs."""
    made = {
        "seed": seed,
        "quiet": False,
        "data": {"folds": folds, "fold": fold, "batch_size": 8},
        "trainer": {"max_epochs": 1, "max_steps": None, "accumulate": 1},
        "tasks": {
            name: {"dataset": {"_target_": "mtl_cli.datasets.tabular.Tabular", "path": "t.csv", "split_seed": 0}}
            for name in tasks
        },
        "sharing": {"_target_": f"mtl_cli.sharing.{sharing}.{sharing.title()}"},
    }
    for key, value in knobs.items():
        *path, last = key.split("__")
        node = made
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return made


def run(metrics, *, val=None, lower=(), digest="d", rows=90, status="completed", path="run", **knobs):
    """A run in memory, with test metrics "<task>/<metric>"."""
    made = config(**knobs)
    summary = summary_of(metrics, val=val, lower=lower, digest=digest, rows=rows, tasks=made["tasks"])
    from mtl_cli.answers import runs

    return Run(
        Path(path), made, status, "", runs._unit(made), summary["best_val"], summary["test"], frozenset(lower), {},
        tuple(made["tasks"]), runs._costs(summary), runs._data(summary, made), summary,
    )  # fmt: skip


def summary_of(metrics, *, val=None, lower=(), digest="d", rows=90, tasks=("a", "b")):
    data = {"tasks": list(tasks), "rows": {"train": 300, "val": rows, "test": rows}, "files": {"path": digest}}
    return {
        "status": "completed",
        "selection": {"metric": "skill", "best": 0.5, "best_step": 2, "lower_is_better": False},
        "best_val": metrics if val is None else val,
        "test": metrics,
        "lower_is_better": list(lower),
        "trivial_val": dict.fromkeys(metrics, 0.25),
        "data": {next(iter(tasks)): data},
        "steps": 4,
        "precision": "fp32",
        "device": "cpu",
        **COSTS,
    }


def write(folder, metrics, *, status="completed", val=None, lower=(), digest="d", rows=90, **knobs):
    """Leave what a run leaves, and return its folder."""
    made = config(**knobs)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    (folder / "status.json").write_text(json.dumps({"status": status, "reason": None}))
    summary = summary_of(metrics, val=val, lower=lower, digest=digest, rows=rows, tasks=made["tasks"])
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "environment.json").write_text(json.dumps({"command": ["mtl-train", f"seed={made['seed']}"]}))
    records = [
        {"kind": "train", "step": step, "losses": dict.fromkeys(made["tasks"], 1 / step),
         "weights": dict.fromkeys(made["tasks"], 1.0 + step), "notes": {"conflicts": 0.5}}
        for step in (1, 2, 3, 4)
    ] + [{"kind": "eval", "split": "val", "step": step, "metrics": metrics} for step in (2, 4)]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    return folder
