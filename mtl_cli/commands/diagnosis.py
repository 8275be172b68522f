"""Every problem of a list of overrides, where Hydra stops at the first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from mtl_cli.commands.compose import CONFIG_ERRORS, Session, plain_config, task_clashes
from mtl_cli.commands.explained import Library
from mtl_cli.commands.group_overrides import in_group, shared_key, with_group_tasks
from mtl_cli.commands.hydra_plugin import twice_message
from mtl_cli.commands.messages import (
    hydra_message,
    key_message,
    no_option_message,
    option_message,
    section_message,
    sweep_message,
)
from mtl_cli.commands.overrides import parse, quoted
from mtl_cli.config.annotations import fits
from mtl_cli.config.interpolation import get_key, has_key, split_key
from mtl_cli.config.schema import knobs
from mtl_cli.config.shipped import group_options
from mtl_cli.config.validation import like, validate
from mtl_cli.errors import UserError, nearest_name


def diagnose(session: Session, overrides: Sequence[str], error: Exception) -> list[str]:
    """Return every problem of overrides that Hydra refused with `error`: what, the value found, what fixes it."""
    diagnosis = _Diagnosis(session)
    try:
        return diagnosis.run(overrides) or [hydra_message(error, session.folders)]
    except CONFIG_ERRORS as other:
        return diagnosis.found() or [hydra_message(other, session.folders)]


class _Diagnosis:
    """Problems by the position of the override that has them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.problems: list[tuple[int, str]] = []
        self.skipped: list[str] = []
        self.folders: list[Path] = []

    def found(self) -> list[str]:
        return list(dict.fromkeys(text for _, text in sorted(self.problems, key=lambda item: item[0])))

    def run(self, overrides: Sequence[str]) -> list[str]:
        self.folders = search_path(overrides)
        groups, values = self._parsed(overrides)
        good = [fixed for index, override in groups if (fixed := self._group(index, override)) is not None]
        config = self._composed(good)
        if config is None:
            return self.found()
        OmegaConf.set_readonly(config.hydra, False)
        for index, override in values:
            self._value(index, override, config)
        try:
            self.problems += [(len(overrides), text) for text in validate(plain_config(config), self.session.folders)]
        except UserError as error:
            self.problems += [(len(overrides), text) for text in error.problems]
        return self.found()

    def _parsed(self, overrides: Sequence[str]) -> tuple[list[tuple[int, Override]], list[tuple[int, Override]]]:
        """Return the overrides that choose options of groups and those that set values."""
        groups: list[tuple[int, Override]] = []
        values: list[tuple[int, Override]] = []
        for index, text in enumerate(overrides):
            try:
                override = parse(text, self.session.loader, self._hint)
            except UserError as error:
                self.problems += [(index, problem) for problem in error.problems]
                continue
            if override.is_sweep_override() and self._is_group(override.key_or_group):
                self._listed_options(index, override)
            elif override.is_sweep_override():
                problem = f'{text} lists several values. Add -m to run each of them, or quote it: "{quoted(text)}".'
                self.problems.append((index, problem))
            elif override.key_or_group == "hydra.searchpath":
                groups.insert(0, (index, override))
            elif self._is_group(override.key_or_group):
                groups.append((index, override))
            else:
                values.append((index, override))
        return groups, values

    def _is_group(self, key: str) -> bool:
        return self.session.is_group(key) or any((folder / key).is_dir() for folder in self.folders)

    def _options(self, group: str) -> list[str]:
        extra = {path.stem for folder in self.folders for path in (folder / group).glob("*.yaml")}
        return sorted({*self.session.options(group), *extra})

    def _meant(self, group: str, name: str) -> str:
        """Return the option that an unknown name misspells, or whose class has it as another name."""
        if guess := nearest_name(name, self._options(group)):
            return guess
        aliases = Library([*self.session.folders, *self.folders]).aliases(group)
        return aliases.get(nearest_name(name, aliases), "")

    def _listed_options(self, index: int, override: Override) -> None:
        """Note what is wrong with an override that lists options of a group: that it does, or options that are not."""
        text, group = str(override.input_line), override.key_or_group
        names = [str(name) for name in override.sweep_string_iterator()] if override.is_discrete_sweep() else []
        options = self._options(group)
        parts = [part for name in names for part in (name.split("+") if group == "task" else [name])]
        meant = {part: self._meant(group, part) for part in parts if part not in options}
        self.problems += [(index, option_message(group, part, options, text, meant[part])) for part in meant]
        if names and all(meant.values()):
            right = ["+".join(meant.get(part, part) for part in name.split("+")) for name in names]
            self.problems.append((index, sweep_message(group, text, right)))
        self.skipped.append(group)

    def _hint(self, text: str) -> str:
        """Return how a lone word may be meant: as an option of a group."""
        listed = group_options([*self.session.folders, *self.folders])
        groups = [group for group, options in listed.items() if text in options]
        groups.sort(key=lambda group: group != "task")
        return f" Did you mean {groups[0]}={text}?" if groups else ""

    def _group(self, index: int, override: Override) -> str | None:
        """Return the override, or one that is fixed so that the others can be looked at; None to leave it out."""
        text, group, value = str(override.input_line), override.key_or_group, override.value()
        options = self._options(group)
        if override.is_delete() or group == "hydra.searchpath":
            return text
        if not isinstance(value, str | int | float):
            self.problems.append((index, no_option_message(group, text, options)))
            return None
        names = str(value).split("+") if group == "task" and str(value) not in options else [str(value)]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            self.problems.append((index, twice_message(names, twice[0])))
        fixed = []
        for name in dict.fromkeys(names):
            if name in options or "${" in name:
                fixed.append(name)
                continue
            guess = self._meant(group, name)
            self.problems.append((index, option_message(group, name, options, text, guess)))
            fixed += [guess] if guess else []
        if not fixed:
            self.skipped.append(group)
            return None
        if group == "task" and (clashes := task_clashes("+".join(fixed), [*self.session.folders, *self.folders])):
            self.problems += [(index, problem) for problem in clashes]
            fixed = fixed[:1]
        return text.partition("=")[0] + "=" + "+".join(dict.fromkeys(fixed))

    def _fits(self, key: str, value: object, config: dict[str, Any]) -> bool:
        """Return whether a key takes a value: an option where it is a group, else one like the value that it has."""
        if _is_text_with(value, "${"):
            return True
        if self._is_group(key):
            return set(str(value).split("+") if key == "task" else [str(value)]) <= set(self._options(key))
        if key in knobs():
            return knobs()[key].problem(value) is None
        return has_key(config, key) and fits(value, like(get_key(config, key)))

    def _composed(self, groups: Sequence[str]) -> DictConfig | None:
        """Return the config of these group choices, leaving out those that fail."""
        try:
            return self.session.compose(groups)
        except CONFIG_ERRORS:
            good: list[str] = []
            config = None
            for text in [None, *groups]:
                try:
                    config = self.session.compose([*good, *([text] if text else [])])
                    good += [text] if text else []
                except CONFIG_ERRORS as error:
                    self.problems.append((0, hydra_message(error, [*self.session.folders, *self.folders])))
                    if text is None:
                        return None
            return config

    def _value(self, index: int, override: Override, config: DictConfig) -> None:
        """Apply one override as Hydra does, and note what is wrong with it."""
        key, text = override.key_or_group, str(override.input_line)
        if any(key == group or key.startswith(f"{group}.") for group in self.skipped):
            return
        raw = OmegaConf.to_container(config, resolve=False)
        assert isinstance(raw, dict)
        if (own := in_group(text, raw["tasks"])) != text:
            override = parse(own, self.session.loader)
            key = override.key_or_group
        exists, value = reachable(raw, key), override.value()
        if not exists and not (override.is_add() or override.is_force_add()):
            if shared := shared_key(text, raw["tasks"]):
                self.problems.append((index, f"{text} is a value of the whole group. Leave it out there: ~{shared}."))
                return
            known = {**dict.fromkeys(self.session.groups), **raw, "tasks": with_group_tasks(raw["tasks"])}
            self.problems.append((index, key_message(key, text, known, lambda guess: self._fits(guess, value, known))))
            return
        if exists and override.is_add():
            self.problems.append((index, f"{text} adds a key that the config has. Leave out the +: {text[1:]}."))
            return
        if exists and not override.is_delete() and isinstance(keys := get_key(raw, key), dict) and is_scalar(value):
            self.problems.append((index, section_message(key, text, list(keys))))
            return
        knob = knobs().get(key)
        if knob and not override.is_delete() and not _is_text_with(value, "${") and (problem := knob.problem(value)):
            self.problems.append((index, problem))
            return
        try:
            apply(config, override)
        except CONFIG_ERRORS as error:
            self.problems.append((index, f"{text} cannot be set: {hydra_message(error)}"))


def search_path(overrides: Sequence[str]) -> list[Path]:
    """Return the folders that overrides add by hydra.searchpath."""
    text = next((text.partition("=")[2] for text in overrides if text.lstrip("+").startswith("hydra.searchpath=")), "")
    entries = [entry.strip(" '\"").removeprefix("file://") for entry in text.strip("[]").split(",")]
    return [Path(entry) for entry in entries if entry and Path(entry).is_dir()]


def apply(config: DictConfig, override: Override) -> None:
    """Change a composed config as Hydra does for one override of a value."""
    key, value = override.key_or_group, override.value()
    if override.is_delete():
        parent, _, last = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        with open_dict(config):
            del node[last]
    elif override.is_add() or override.is_force_add():
        with open_dict(config):
            OmegaConf.update(config, key, value, merge=True, force_add=True)
    else:
        OmegaConf.update(config, key, value, merge=True)


def reachable(raw: Any, key: str) -> bool:  # noqa: ANN401  a plain config
    """True where a key leads to a value, or into an interpolation."""
    parts = split_key(key)
    for index in range(len(parts)):
        if not _has(raw, parts[index]):
            return _is_text_with(raw, "${")
        raw = get_key(raw, parts[index])
    return bool(parts)


def _has(node: Any, part: str) -> bool:  # noqa: ANN401  a plain config
    if isinstance(node, list):
        return part.isdecimal() and int(part) < len(node)
    return isinstance(node, dict) and part in node


def is_scalar(value: object) -> bool:
    """True for a value that cannot stand for a section: neither a mapping nor an interpolation."""
    return not isinstance(value, dict) and not _is_text_with(value, "${")


def _is_text_with(value: object, part: str) -> bool:
    return isinstance(value, str) and part in value
