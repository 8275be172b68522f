"""Node interpolations such as ${data.source}, resolved without OmegaConf, because a config may come from a stranger.

Resolver calls such as ${oc.env:HOME} run code with side effects; they are never called here.

1. Every value of the config is visited from the top. Mappings and lists are copied, and each visit is counted, so that
   aliases and interpolations which multiply one another end in an error.
2. In a text, every interpolation is replaced. A text that is one whole interpolation becomes the value that it names,
   of any type; elsewhere the value is written into the text. A backslash before ${ keeps it literally; of more
   backslashes before ${ each pair stands for one, as in OmegaConf (`escaped` writes them).
3. The value that an interpolation names is resolved in the same way. The keys that led there are carried along, so that
   a key that comes twice is a cycle.
4. Problems are collected by the key or text that cannot be resolved. Each is reported once, all of them together.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mtl_cli.errors import UserError

_INTERPOLATION = re.compile(r"(?<!\\)(?P<pairs>(?:\\\\)*)(?:\\\$\{|\$\{(?P<key>[^${}]*)\})")
"""Backslashes and what they stand before: the start of a literal ${, or one whole interpolation; no nested one."""
_PATH = re.compile(r"[\w-]+(\.[\w-]+|\[[\w-]+\])*")
MAX_NODES = 100_000
"""Most values that interpolations, or aliases, may add to those that a config has as it is written."""
MAX_WRITTEN = 300_000
"""Most values of a config as it is written; a hundred task nodes of one table of 640 columns have 140,000."""
MAX_DEPTH = 100
"""Most levels that a config may be deep."""
TOO_LARGE = f"holds more than {MAX_NODES} values by interpolations or aliases, or more than {MAX_DEPTH} levels."


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a plain config with every node interpolation replaced by the value that it names.

    Raises:
        UserError: a resolver call, an unknown key, a cycle; all of them together.
    """
    resolver = _Resolver(config)
    resolved = {key: resolver.value(value, (key,), ()) for key, value in config.items()}
    if resolver.problems:
        raise UserError(list(resolver.problems.values()))
    return resolved


class _Resolver:
    """The problems and the size of one config while it is resolved."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config, self.nodes, self.written = config, 0, 0
        self.problems: dict[str, str] = {}  # by the key or text that cannot be resolved: each is reported once

    def value(self, value: Any, at: tuple[str, ...], seen: tuple[str, ...]) -> Any:  # noqa: ANN401  any YAML value
        """Return `value`, which stands at the key `at`, resolved; `seen` are the interpolations that led to it."""
        self.nodes += bool(seen)
        self.written += not seen
        if self.nodes > MAX_NODES or self.written > MAX_WRITTEN or len(at) > MAX_DEPTH:
            large = f"has more than {MAX_WRITTEN} values." if self.written > MAX_WRITTEN else TOO_LARGE
            raise UserError(
                f"The config {large} Where many tasks each have a node, one node can stand for all: give it "
                "'targets: {NAME: {}, OTHER: {}}' in the place of target."
            )
        if isinstance(value, Mapping):
            return {key: self.value(item, (*at, str(key)), seen) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item, (*at, str(index)), seen) for index, item in enumerate(value)]
        return self._text(value, at, seen) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, at: tuple[str, ...], seen: tuple[str, ...]) -> Any:  # noqa: ANN401  any YAML value
        whole = _INTERPOLATION.fullmatch(text)
        if whole and whole["key"] is not None and not whole["pairs"]:
            return self._named(whole["key"], at, seen)
        if "${" in _INTERPOLATION.sub(" ", text):
            self.problems.setdefault(text, f"{'.'.join(at)} is '{text}', an interpolation nested or not closed.")
            return text

        def written(found: re.Match[str]) -> str:
            value = "${" if found["key"] is None else str(self._named(found["key"], at, seen))
            return found["pairs"][::2] + value

        return _INTERPOLATION.sub(written, text)

    def _named(self, inner: str, at: tuple[str, ...], seen: tuple[str, ...]) -> Any:  # noqa: ANN401  any YAML value
        key = inner.strip()
        if ":" in key:
            wrong = "a resolver call; only keys of this config are allowed here."
        elif not _PATH.fullmatch(key):
            wrong = "which names no key of this config by its full path."
        elif key in seen:
            wrong = f"which refers back to itself: {' -> '.join([*seen, key])}."
        elif not has_key(self.config, key):
            wrong = f"but the config has no key '{key}'."
        else:
            return self.value(get_key(self.config, key), at, (*seen, key))
        self.problems.setdefault(key, f"{'.'.join(at)} is '${{{inner}}}', {wrong}")
        return None


def escaped(text: str) -> str:
    """Return a text in which no ${ is an interpolation: `resolve` and OmegaConf give back the text as it was."""
    return re.sub(r"(?<!\\)(\\*)\$\{", r"\1\1\\${", text)


def split_key(key: str) -> list[str]:
    """Return the parts of a dotted key; `a[b].0` is a, b, 0."""
    return [part for part in re.split(r"[.\[\]]+", key) if part]


def has_key(config: Any, key: str) -> bool:  # noqa: ANN401  any YAML value
    """True where a plain config holds a dotted key; indices count into lists."""
    for part in split_key(key):
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif isinstance(config, list) and part.isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            return False
    return True


def get_key(config: Any, key: str) -> Any:  # noqa: ANN401  any YAML value
    """Return the value of a dotted key that the config holds (see `has_key`)."""
    for part in split_key(key):
        config = config[int(part)] if isinstance(config, list) else config[part]
    return config


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  any YAML value
    """Yield each dotted key of a plain config with its value, except for mappings, whose keys are yielded instead."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{at}.{key}" if at else str(key))
    else:
        yield at, value
