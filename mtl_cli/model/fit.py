"""Whether heads can read what a sharing mode gives them, and what would fit."""

from collections.abc import Mapping

from mtl_cli.backbones.base import BackboneFactory, fitting_backbones
from mtl_cli.config.on_hand import either
from mtl_cli.features import FeatureSpec
from mtl_cli.tasks.base import Task


def misfits(tasks: Mapping[str, Task], specs: Mapping[str, FeatureSpec], factory: BackboneFactory) -> list[str]:
    """Return a sentence for each task whose head does not take its features, `specs`, with overrides that fit."""
    return [
        f"tasks.{name}.head is a {type(task.head).__name__}, which reads a {either(task.head.takes)} of features per "
        f"sample; the backbone gives a {specs[name].kind} {specs[name].shape}. {advice(name, task, factory)}"
        for name, task in tasks.items()
        if specs[name].kind not in task.head.takes
    ]


def advice(name: str, task: Task, factory: BackboneFactory) -> str:
    """Return overrides by which the head of a task gets what it takes: another backbone, or a stage below the last."""
    kinds = {spec.kind for spec in factory.inputs.values()}
    ways = fitting_backbones(kinds, task.head.takes)
    below = [number for number, spec in enumerate(factory.specs) if number and spec.kind in task.head.takes]
    if below:
        ways.append(f"sharing=hierarchical 'sharing.attach={{{name}: {below[-1]}}}'")
    return f"Use {either(ways)}." if ways else f"No backbone on hand gives that from {either(sorted(kinds))} inputs."
