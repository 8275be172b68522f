"""Overrides of plain knobs, checked without composing a config."""

from collections.abc import Sequence
from typing import Any

from mtl_cli.config.schema import KNOWN_KEYS, knobs, sections
from mtl_cli.errors import nearest

SPLITS = ("train", "val", "test")
PREFERENCE = "preference"
"""Short for weighting.preference, where a run is trained and its config has that key."""
NOT_PRIVATE: dict[str, Any] = {
    "privacy.epsilon": None,
    "privacy.delta": None,
    "privacy.noise": None,
    "privacy.clip_norm": 1.0,
}
NO_TRAINING: dict[str, Any] = {"trainer.compile": False, "overfit": None, **NOT_PRIVATE}
"""What overrides the config of a run whose model is looked at and not trained."""


def split_problems(split: object) -> list[str]:
    """Return what is wrong with the name of a split."""
    if split in SPLITS:
        return []
    hint = nearest(str(split), SPLITS)
    return [f"split is '{split}'; it is one of {', '.join(SPLITS)}.{hint} Use for example split=test."]


def key_problems(overrides: dict[str, Any], own: Sequence[str], program: str) -> list[str]:
    """Return what is wrong with overrides of a run's config; `own` are further keys, which the program takes itself."""
    problems = []
    for key, value in overrides.items():
        if key not in (*own, PREFERENCE) and key.partition(".")[0] not in KNOWN_KEYS:
            hint = nearest(key, [*own, PREFERENCE, *KNOWN_KEYS])
            problems.append(f"Unknown key '{key}' in {key}={value}.{hint} {program} --help shows what it takes.")
    if overrides.get("trainer.devices", 1) != 1:
        problems.append(
            f"{program} runs in one process, whatever number its run had. Leave out trainer.devices="
            f"{overrides['trainer.devices']}."
        )
    return problems + value_problems(overrides)


def value_problems(overrides: dict[str, Any]) -> list[str]:
    """Return what is wrong with plain knobs: their values, and keys that their section does not have."""
    problems = []
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        if key in knobs():
            problem = knobs()[key].problem(value)
            problems += [problem] if problem else []
        elif section in sections():
            hint = nearest(name, sections()[section])
            problems.append(f"{section} has no key '{name}'.{hint} Its keys: {', '.join(sections()[section])}.")
    return problems
