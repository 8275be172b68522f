"""YAML in a run directory or a checkpoint, which may come from a stranger: read as plain data, within limits.

1. The text is not longer than a config can be.
2. Its events are counted before anything is made of them, so that nothing multiplies or goes deep.
3. Merge keys (<<) are refused, which multiply without any value that could be counted; no config that is written has
   them. Numbers are short.
4. Aliases are counted as the values that they stand for.
"""

from typing import Any

import yaml

from mtl_cli.config.interpolation import MAX_DEPTH, MAX_NODES, MAX_WRITTEN, TOO_LARGE

MAX_TEXT = 8 * 2**20
"""Characters of a config."""
MAX_DIGITS = 400
_BASE: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the loader in C is ten times as fast
_STARTS, _ENDS = (yaml.MappingStartEvent, yaml.SequenceStartEvent), (yaml.MappingEndEvent, yaml.SequenceEndEvent)


def read_run_yaml(text: str) -> Any:  # noqa: ANN401  any YAML value
    """Return what a YAML text holds, as plain data.

    Raises:
        ValueError, yaml.YAMLError, RecursionError: it is not YAML, has other than plain values, or is too large.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"it has {len(text)} characters; a config has at most {MAX_TEXT}.")
    written = _check_events(text)
    value = yaml.load(text, Loader=_Loader)
    _check_data(value, [-written], 0)
    return value


class _Loader(_BASE):
    """Makes plain data of nodes, without merge keys and long numbers."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys, in whose place other loaders copy mappings here."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ValueError("it has a merge key (<<), which no config has.")

    def construct_scalar(self, node: Any) -> Any:  # noqa: ANN401  as the base class has it
        """Refuse long numbers: those of base 60 take time by the square of their length."""
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > MAX_DIGITS:
            raise ValueError(f"a number has {len(node.value)} digits.")
        return super().construct_scalar(node)


def _check_events(text: str) -> int:
    """Return the number of values and keys, counted like the levels while the text is parsed.

    Raises:
        ValueError: there are too many.
    """
    depth = count = 0
    for count, event in enumerate(yaml.parse(text, Loader=_BASE)):
        depth += isinstance(event, _STARTS) - isinstance(event, _ENDS)
        if count > 2 * MAX_WRITTEN:  # keys and values
            raise ValueError(f"it has more than {MAX_WRITTEN} values.")
        if depth > MAX_DEPTH:
            raise ValueError(f"it {TOO_LARGE}")
    return count


def _check_data(value: object, count: list[int], depth: int) -> None:
    count[0] += 1
    if count[0] > MAX_NODES or depth > MAX_DEPTH:
        raise ValueError(f"it {TOO_LARGE}")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float):
                raise ValueError(f"a key is {key!r}, which is not text.")
            _check_data(item, count, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_data(item, count, depth + 1)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"a value is {value!r}, of type {type(value).__name__}.")
