"""Writes the reference of methods: mtl_cli/<folder>/README.md of weightings, sharing modes, schedules and backbones.

Each method's text comes from the docstring of its class, its knobs and their comments from its file in conf/, and its
cost from the class attributes. What stands above the marker in a README is written by hand and is kept.

Usage: python scripts/reference.py [--check]
  --check writes nothing; the exit code is 1 if a file is not up to date
"""

import argparse
import importlib
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.backbones.base import Backbone
from mtl_cli.commands import option_facts
from mtl_cli.commands.option_facts import KNOB
from mtl_cli.config.source_text import text_of
from mtl_cli.weightings.base import LossWeighting
from mtl_cli.weightings.cross_base import CrossWeighting
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.jacobian_base import JacobianWeighting
from mtl_cli.weightings.last_layer_base import LastLayerWeighting

ROOT = Path(__file__).parent.parent
FOLDERS = {"weighting": "weightings", "sharing": "sharing", "schedule": "schedules", "backbone": "backbones"}
"""Group in conf/ to folder in mtl_cli/."""
KINDS = (LossWeighting, GradientWeighting, JacobianWeighting, CrossWeighting, LastLayerWeighting)
MARKER = "<!-- scripts/reference.py writes all that follows, from docstrings and YAML files. -->\n"
SEVERAL = 4
"""A knob with the same default and comment in so many files is explained once, at the top."""


@dataclass(frozen=True)
class Knob:
    """An argument of a method, as its YAML file gives it."""

    name: str
    default: str
    comment: str

    @property
    def setting(self) -> str:
        """The override that sets the default."""
        return f"`{self.name}={self.default}`"

    @property
    def line(self) -> str:
        """The override and what it means, as an item of a list."""
        return f"- {self.setting}: {self.comment}" if self.comment else f"- {self.setting}"


@dataclass(frozen=True)
class Method:
    """One option of a group: its name, class and knobs."""

    name: str
    cls: type
    knobs: Sequence[Knob]


def methods(group: str) -> list[Method]:
    """Return the methods of a group in conf/, in the order of their names."""
    found = [_method(path) for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]
    assert found, f"there are no methods in conf/{group}"
    return found


def _method(path: Path) -> Method:
    matches = [KNOB.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(matches), f"{path}: each line must be `name: default  # comment`"
    knobs = [Knob(match["name"], match["default"], match["comment"] or "") for match in matches if match]
    target, *rest = knobs
    module, _, name = target.default.rpartition(".")
    return Method(path.stem, getattr(importlib.import_module(module), name), rest)


def facts(cls: type) -> list[str]:
    """Return what the attributes of a class say about the cost of the method and what it asks for."""
    return list(option_facts.facts([each.__name__ for each in cls.__mro__], _attributes(cls)))


def cost(cls: type) -> str:
    """Return what a step of a weighting costs."""
    return option_facts.cost([each.__name__ for each in cls.__mro__], _attributes(cls))


def _attributes(cls: type) -> dict[str, Any]:
    return {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


def reference(group: str) -> str:
    """Return the generated part of a group's README."""
    found = methods(group)
    common = _common_knobs(found)
    lines = ["", "## Knobs of several methods", "", *(knob.line for knob in common)] if common else []
    kinds: list[type] = [kind for kind in KINDS if any(issubclass(method.cls, kind) for method in found)]
    for kind in kinds or [object]:
        members = [method for method in found if issubclass(method.cls, kind)]
        title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).capitalize() + "s"
        lines += ["", f"## {title}", "", text_of(kind.__doc__ or "")] if kinds else ["", "## All methods"]
        links = ", ".join(f"[{method.name}](#{group}{method.name})" for method in members)
        lines += ["", textwrap.fill(links, 120, break_long_words=False, break_on_hyphens=False)]
        lines += _by_inputs(members)
        for method in members:
            lines += _block(group, method, common)
    return "\n".join(lines) + "\n"


def _by_inputs(found: Sequence[Method]) -> list[str]:
    """Return a table of the backbones among the methods by the kinds of inputs that they take."""
    names: dict[str, list[str]] = {}
    for method in found:
        for kind in method.cls.takes if issubclass(method.cls, Backbone) else ():
            names.setdefault(kind, []).append(f"`{method.name}`")
    rows = [f"| {kind} | {', '.join(those)} |" for kind, those in names.items()]
    return ["", "| inputs | backbones |", "| --- | --- |", *rows] if rows else []


def _common_knobs(found: Sequence[Method]) -> list[Knob]:
    """Return the knobs that several methods have with the same default and comment, at most one of each name."""
    counts = Counter(knob for method in found for knob in method.knobs)
    common: dict[str, Knob] = {}
    for knob, count in counts.most_common():
        if count >= SEVERAL:
            common.setdefault(knob.name, knob)
    return list(common.values())


def _block(group: str, method: Method, common: Sequence[Knob]) -> list[str]:
    own_module = method.cls.__module__.rpartition(".")[2]
    text = text_of(method.cls.__doc__ or "")
    if own_module != method.name:
        text = f"The same method as `{group}={own_module}`, with other defaults."
    usual = [knob.setting for knob in method.knobs if knob in common]
    lines = ["", f"### `{group}={method.name}`", "", text, ""]
    lines += [f"- {', '.join(usual)}: explained at the top."] if usual else []
    lines += [knob.line for knob in method.knobs if knob not in common]
    lines += [f"- {fact}" for fact in facts(method.cls)]
    return lines if lines[-1] else lines[:-1]


def readme(group: str) -> Path:
    """Return the path of the README that holds a group's reference."""
    return ROOT / "mtl_cli" / FOLDERS[group] / "README.md"


def updated(group: str) -> str:
    """Return the whole README of a group: what was written by hand, and the reference as it should be."""
    by_hand, marker, _ = readme(group).read_text(encoding="utf-8").partition(MARKER)
    assert marker, f"{readme(group)} lacks the line {MARKER!r}"
    return by_hand + MARKER + reference(group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check all references; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args(arguments).check
    stale = [group for group in FOLDERS if readme(group).read_text(encoding="utf-8") != updated(group)]
    for group in stale:
        print(f"{readme(group).relative_to(ROOT)} {'is not up to date' if check else 'is written'}")
        if not check:
            readme(group).write_text(updated(group), encoding="utf-8")
    if check and stale:
        print("Write the reference anew with: python scripts/reference.py")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
