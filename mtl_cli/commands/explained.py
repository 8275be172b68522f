"""What `mtl-train --help TOPIC` prints: a group, one of its options, the kinds of tasks, a section or a knob."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mtl_cli.commands.help import knob_lines
from mtl_cli.commands.option_facts import facts, knob_lines_of
from mtl_cli.commands.search.options import KINDS as SEARCHES
from mtl_cli.commands.search.options import search_lines
from mtl_cli.config.schema import knobs, sections
from mtl_cli.config.shipped import conf_dir, group_options, read_yaml
from mtl_cli.config.source_text import PACKAGE_PARENT, SourceClass, source_class
from mtl_cli.errors import UserError, nearest

WIDTH = 118
KINDS = PACKAGE_PARENT / "mtl_cli" / "tasks"


def explain(topics: Sequence[str], config_dir: Path | None = None) -> str:
    """Return the explanation of each topic: GROUP, GROUP=OPTION, OPTION, tasks, tasks=KIND, SECTION or KEY.

    Raises:
        UserError: there is no such topic; all of them are named.
    """
    library = Library([conf_dir(), *([config_dir] if config_dir else [])])
    texts, problems = [], []
    for topic in topics:
        try:
            texts.append(library.explained(topic))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return "\n\n".join(texts)


def search_words(topic: str) -> str:
    """Return what `search=` and the keys below it are.

    Raises:
        UserError: there is no such key.
    """
    found = {f"search.{name}": (default, text) for name, default, text in search_lines()}
    name = topic.partition(".")[2]
    if topic != "search" and topic not in found:
        raise UserError(f"search has no key '{name}'.{nearest(name, [key.partition('.')[2] for key in found])}")
    chosen = found if topic == "search" else {topic: found[topic]}
    lines = [_entry(f"{key}={default}", text) for key, (default, text) in chosen.items()]
    head = f"search={'|'.join(SEARCHES)} makes of -m a search over the keys with several values:"
    return "\n".join([head, *lines] if topic == "search" else lines)


class Library:
    """The options in some conf folders, and the sources of their classes in the package and beside these folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.groups = group_options(folders)
        self.sources = [Path.cwd(), *folders[1:]]

    def explained(self, topic: str) -> str:
        """Return the explanation of one topic."""
        key, _, value = topic.partition("=")
        if key.partition(".")[0] == "search" and not value:
            return search_words(key)
        if key == "tasks":
            return self.kind(value) if value else self.kinds()
        if key in self.groups:
            return "\n\n".join(self.option(key, name) for name in value.split("+")) if value else self.group(key)
        if keys := [name for name in knobs() if key == name or name.startswith(f"{key}.")]:
            return "\n".join(_knob(*line) for line in knob_lines() if line[0] in keys)
        group, _, name = key.partition(".")
        if group in self.groups and (found := self._with_knob(group, name)):
            return "\n".join(found)
        if groups := [group for group, options in self.groups.items() if key in options and not value]:
            return "\n\n".join(self.option(group, key) for group in groups)
        known = [*self.groups, "tasks", *sections(), *knobs()]
        raise UserError(
            f"--help knows nothing of '{topic}'.{nearest(key, known)} It explains a group (--help weighting), an "
            "option (--help weighting=pcgrad), the kinds of tasks (--help tasks), a section or a key (--help trainer)."
        )

    def group(self, group: str) -> str:
        """Return the options of a group, a line each."""
        more = "; --help tasks shows the kinds of tasks" if group == "task" else ""
        lines = [f"Options of {group} (--help {group}=OPTION explains one{more}):"]
        for option in self.groups[group]:
            found = self.source(group, option)
            lines.append(_entry(option, found.summary if found else _subject(self.path(group, option))))
        return "\n".join(lines)

    def option(self, group: str, option: str) -> str:
        """Return what an option is: its text, knobs and cost."""
        if option not in self.groups[group]:
            raise UserError(
                f"Unknown {group} option '{option}'.{nearest(option, self.groups[group])} "
                f"Known: {', '.join(self.groups[group])}. --help {group} describes them."
            )
        path, found = self.path(group, option), self.source(group, option)
        target = next((knob.default for knob in knob_lines_of(path) if knob.name == "_target_"), "")
        parts = [f"{group}={option}  ({target or path})", found.text if found else _subject(path) if target else ""]
        if target:
            prefix = "tasks.NAME.dataset" if group == "dataset" else group.replace("/", ".")
            lines = [_entry(f"{prefix}.{knob.name}={knob.default}", knob.comment) for knob in _knobs_of(path)]
            parts.append("Knobs, with their defaults:\n" + "\n".join(lines) if lines else "It has no knobs.")
        else:
            parts.append(path.read_text(encoding="utf-8").replace("# @package _global_\n", "").rstrip())
        parts += [fact.replace("`", "") for fact in (facts(found.ancestors, found.constants) if found else ())]
        return "\n\n".join(part for part in parts if part)

    def kinds(self) -> str:
        """Return the kinds of tasks, a line each."""
        lines = ["Kinds of tasks (tasks.NAME._target_; --help tasks=KIND explains one, --help task lists the tasks):"]
        lines += [_entry(name, found.text.partition("\n\n")[0].replace("\n", " ")) for name, found in kinds().items()]
        return "\n".join(lines)

    def kind(self, name: str) -> str:
        """Return what a kind of task is, with a node to copy."""
        alike = {each.casefold(): each for each in kinds()} | {
            found.module.rpartition(".")[2]: each for each, found in reversed(kinds().items())
        }
        if name.casefold() not in alike:
            raise UserError(
                f"Unknown kind of task '{name}'.{nearest(name, alike)} Known: {', '.join(kinds())}. "
                "--help tasks describes them."
            )
        found = kinds()[alike[name.casefold()]]
        target = f"{found.module}.{found.name}"
        node = _snippets().get(target)
        parts = [f"tasks={found.name}  ({target})", found.text]
        if node:
            parts.append("Under tasks.NAME, beside dataset and head:\n" + textwrap.indent(node, "  ").rstrip())
        return "\n\n".join(parts)

    def path(self, group: str, option: str) -> Path:
        """Return the file of an option; a folder of the user's comes after the shipped one."""
        return next(path for folder in self.folders if (path := folder / group / f"{option}.yaml").is_file())

    def source(self, group: str, option: str) -> SourceClass | None:
        """Return the class of an option, if its source is found."""
        try:
            node: Any = read_yaml(self.path(group, option).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return None
        target = node.get("_target_") if isinstance(node, dict) else None
        return source_class(target, self.sources) if isinstance(target, str) else None

    def aliases(self, group: str) -> dict[str, str]:
        """Return the options of a group by the other names that their classes give them."""
        found = {option: self.source(group, option) for option in self.groups.get(group, ())}
        return {alias: option for option, cls in found.items() if cls for alias in cls.aliases}

    def _with_knob(self, group: str, name: str) -> list[str]:
        """Return a line for each option of a group that has a knob of this name."""
        return [
            _entry(f"{group}={option} {group}.{name}={knob.default}", knob.comment)
            for option in self.groups[group]
            for knob in _knobs_of(self.path(group, option))
            if knob.name == name
        ]


def kinds() -> dict[str, SourceClass]:
    """Return the kinds of tasks by the names of their classes."""
    found = {}
    for path in sorted(KINDS.glob("*.py")):
        names = re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        for name in names if not path.stem.endswith("base") else ():
            cls = source_class(f"mtl_cli.tasks.{path.stem}.{name}")
            if cls and "Task" in cls.ancestors:
                found[name] = cls
    return found


def _snippets() -> dict[str, str]:
    """Return the nodes that the reference of kinds shows, by `_target_`."""
    text = (KINDS / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(_target_: (\S+)\n.*?)```", text, re.DOTALL)
    return {target: block for block, target in blocks}


def _knobs_of(path: Path) -> list[Any]:
    return [knob for knob in knob_lines_of(path) if knob.name != "_target_"]


def _subject(path: Path) -> str:
    """Return what a conf file is for: the comment on its `_target_` or above everything, or its tasks."""
    if comment := next((knob.comment for knob in knob_lines_of(path) if knob.name == "_target_"), ""):
        return comment
    text = path.read_text(encoding="utf-8").replace("# @package _global_\n", "")
    if text.startswith("#"):
        heading = " ".join(line.strip("# ") for line in text.splitlines() if line.startswith("#"))
        return heading.partition(". ")[0].rstrip(".") + "."
    kinds = re.findall(r"^  ([\w-]+):\n    _target_: [\w.]*?(\w+)\n    target: (\S+)", text, re.MULTILINE)
    return "; ".join(f"{name}: {kind} of {target}" for name, kind, target in kinds)


def _knob(key: str, default: str, unit: str) -> str:
    return _entry(f"{key}={default}", f"{unit} It is {knobs()[key].described}.")


def _entry(name: str, text: str) -> str:
    """Return a name and its text, which hangs beside the name or, where that is long, below it."""
    lead = f"  {name:<30}"
    body = textwrap.fill(text, WIDTH - 34, break_long_words=False, break_on_hyphens=False)
    hanging = textwrap.indent(body, " " * 34)
    return (lead + "  " + hanging.lstrip() if len(lead) <= 32 else f"{lead}\n{hanging}").rstrip()
