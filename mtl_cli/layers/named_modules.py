"""Modules by the names of tasks and datasets, which may be names of a Module's own attributes too."""

from collections.abc import Iterator, Mapping
from functools import cache

from torch import nn


class NamedModules(nn.ModuleDict):
    """A ModuleDict that also takes names such as "type", "half" or "values", which torch refuses.

    The parameters of such a module are named with an underscore at the end: `heads.type_.weight`.
    """

    def __init__(self, modules: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: nn.Module) -> None:
        if name.endswith("_") and is_taken(name[:-1]):
            raise ValueError(f"'{name}' cannot be distinguished from '{name[:-1]}' here. Give the task another name.")
        super().__setitem__(safe(name), module)

    def __getitem__(self, name: str) -> nn.Module:
        return super().__getitem__(safe(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(safe(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:  # type: ignore[override]  # a list in place of a view
        """Return the names as they were given."""
        return [name[:-1] if is_taken(name[:-1]) else name for name in self._modules]

    def items(self) -> list[tuple[str, nn.Module]]:  # type: ignore[override]  # a list in place of a view
        """Return the names as they were given, each with its module."""
        return list(zip(self.keys(), self.values(), strict=True))


@cache
def is_taken(name: str) -> bool:
    """Return True for the names of a ModuleDict's own attributes; asked for with every look-up."""
    return hasattr(_empty, name)


def safe(name: str) -> str:
    """Return the name under which a module is kept."""
    return f"{name}_" if is_taken(name) else name


_empty = nn.ModuleDict()
