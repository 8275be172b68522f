"""Which inputs serve which task: written, drawn and printed."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mtl_cli.report.explanations import draw_importances
from mtl_cli.report.tables import number, table
from mtl_cli.runs.explanations.files import write_rows
from mtl_cli.runs.explanations.permutation import Importance, served

logger = logging.getLogger("mtl_cli")


def show_importances(found: Sequence[Importance], output: Path) -> None:
    """Write and print the importances and which inputs serve which task."""
    write_rows(output / "importances.csv", [asdict(each) for each in found])
    tasks = list(dict.fromkeys(each.task for each in found))
    by_task = {task: {each.input: each.worse_by for each in found if each.task == task} for task in tasks}
    serves = served(found)
    datasets: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for task, columns in by_task.items():
        datasets.setdefault(tuple(sorted(columns)), {})[task] = columns
    for place, each_dataset in enumerate(datasets.values()):
        name = "importances.png" if len(datasets) == 1 else f"importances_{place + 1}.png"
        draw_importances(output / name, each_dataset, serves)
    write_rows(
        output / "inputs.csv",
        [{"input": name, "serves": "+".join(own), "shared": len(own) > 1} for name, own in serves.items()],
    )
    metrics = {each.task: each.metric for each in found}
    rows = [["input", *(f"{task} ({metrics[task]})" for task in tasks), "serves"]]
    order = sorted(serves, key=lambda name: (-len(serves[name]), name))
    rows += [
        [name, *(number(by_task[task].get(name)) for task in tasks), " + ".join(serves[name]) or "–"] for name in order
    ]
    logger.warning("how much worse a task's metric is without an input\n%s", table(rows))
