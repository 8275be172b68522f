"""What one option of a group is: its class, its knobs with their comments, and what it costs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KNOB = re.compile(r"(?P<name>\w+): (?P<default>.*?)(?:\s+# (?P<comment>.*))?")


@dataclass(frozen=True)
class KnobLine:
    """An argument of a component, as its YAML file gives it."""

    name: str
    default: str
    comment: str


def knob_lines_of(path: Path) -> list[KnobLine]:
    """Return the knobs of an option, `_target_` first; lines of another form are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    matches = [KNOB.fullmatch(line) for line in lines if not line.lstrip().startswith("#")]
    return [KnobLine(match["name"], match["default"], match["comment"] or "") for match in matches if match]


def facts(ancestors: Sequence[str], constants: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the bases and attributes of a class say about its cost and what it asks for."""
    if "Weighting" in ancestors:
        yield from _weighting_facts(ancestors, constants)
    elif "Backbone" in ancestors:
        yield f"Inputs: {', '.join(constants['takes'])}. Features: {' or '.join(constants['gives'])}."
    elif "Sharing" in ancestors:
        yield f"`weighting.level=features`: {'possible' if constants['has_boundary'] else 'not possible'}."
    elif "Schedule" in ancestors:
        possible = "possible" if constants["gives_all_tasks"] else "refused"
        yield f"Weightings that need every task in every step: {possible}."


def _weighting_facts(ancestors: Sequence[str], constants: Mapping[str, Any]) -> Iterator[str]:
    yield f"Cost: {cost(ancestors, constants)}."
    if constants["scale_invariant"]:
        yield "Declared weights (`tasks.NAME.weight`) other than 1 have no effect under this method and are refused."
    if constants["needs_all_tasks"]:
        yield "Every task must take part in every step."


def cost(ancestors: Sequence[str], constants: Mapping[str, Any]) -> str:
    """Return what a step of a weighting costs."""
    if "LossWeighting" in ancestors:
        again = "" if constants["linear"] else "; with `trainer.accumulate` above 1, also a forward without gradients"
        return f"one backward per step{again}"
    if "LastLayerWeighting" in ancestors:
        return "one backward per step, and a posterior of each last layer; with `trainer.accumulate` also a forward"
    if constants["num_draws"] is None:
        return "a forward and a backward per row"
    if constants["num_draws"] > 1:
        return f"one backward per task on each of {constants['num_draws']} parts of the batch"
    if "GradientWeighting" in ancestors and constants["on_cpu"]:
        return "one backward per task, and a small problem that is solved on the CPU, which waits for the device"
    return "one backward per task"
