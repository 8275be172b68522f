"""From a `_target_` in YAML to a class, by a rule that lets a stranger's config run nothing but known components.

hydra.utils.instantiate is not used: it calls any function that a dotted path reaches. mtl_cli/config/options.py
says which keys a class takes from YAML, and which of them an option group gathers.
"""

import importlib
import importlib.machinery
import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtl_cli.config.annotations import problem
from mtl_cli.config.interpolation import has_key
from mtl_cli.config.options import Key, gathered, keys_of
from mtl_cli.errors import UserError, nearest

ALLOWED = ("mtl_cli", "torch.nn", "torch.optim")


@dataclass(frozen=True)
class Trust:
    """What may be imported besides mtl_cli, torch.nn and torch.optim: named modules, and modules in given folders."""

    modules: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()

    def allows(self, module: str) -> bool:
        """Return True for a module that may be imported; nothing is imported to decide it."""
        prefixes = (*ALLOWED, *self.modules)
        if any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes):
            return True
        top = module.partition(".")[0]
        if not self.folders or top in ("mtl_cli", "torch"):
            return False
        spec = importlib.machinery.PathFinder.find_spec(top)
        if spec is None:
            return False
        files = [spec.origin] if spec.origin is not None else list(spec.submodule_search_locations or ())
        return bool(files) and all(
            any(Path(file).resolve().is_relative_to(folder.resolve()) for folder in self.folders) for file in files
        )


@dataclass(frozen=True)
class Component:
    """A class with the arguments that YAML gives it; `make` adds those that the program gives."""

    where: str
    cls: type
    arguments: dict[str, Any] = field(default_factory=dict)

    def make(self, **runtime: Any) -> Any:  # noqa: ANN401  an instance of the kind that its place expects
        """Return an instance.

        Raises:
            UserError: the class refuses its arguments.
        """
        own = self.cls.__module__.startswith("mtl_cli.")
        # Checks in torch also raise TypeError and RuntimeError, and a user's class may raise anything. In a class of
        # mtl_cli anything but a ValueError is a fault of the program.
        refusals = ValueError if own else Exception
        arguments = {
            name: value.make() if isinstance(value, Component) else value for name, value in self.arguments.items()
        }
        try:
            return self.cls(**gathered(self.cls, arguments), **runtime)
        except UserError as error:
            raise UserError(self.with_whole_keys(error.problems)) from error
        except refusals as error:
            raise UserError(self.with_whole_keys([str(error) if own else self._refused(error)])) from error

    def with_whole_keys(self, problems: Sequence[str]) -> list[str]:
        """Return problems in which every `key=` of this component is an override of the whole config.

        A component does not know its place, so it says `encoding=latin-1`; here it is
        `tasks.income.dataset.encoding=latin-1`, with ++ where the config has no such key yet.
        """
        names = "|".join(map(re.escape, keys_of(self.cls)))
        bare = re.compile(rf"(?<![\w.=+~])((?:{names})(?:\.[\w-]+)*)=")

        def whole(match: re.Match[str]) -> str:
            return f"{'' if has_key(self.arguments, match[1]) else '++'}{self.where}.{match[1]}="

        return [bare.sub(whole, problem) for problem in problems] if names else list(problems)

    def _refused(self, error: Exception) -> str:
        """Return why a class refuses its arguments; errors of the classes of mtl_cli name the key themselves."""
        explicit = isinstance(error, ValueError) or self.cls.__module__.startswith("torch.")
        kind = "" if explicit else f"{self.cls.__name__} raised {type(error).__name__}: "
        where = "" if explicit else " debug=true shows where."
        return f"{self.where}: {kind}{error}{self._hint(str(error))}{where}"

    def _hint(self, message: str) -> str:
        """Return which arguments to change: those whose value the message shows, or all if it shows none."""
        shown = [name for name, value in self.arguments.items() if str(value) in message]
        keys = ", ".join(f"{self.where}.{name}" for name in shown or self.arguments)
        return f"{'' if message.endswith('.') else '.'} Change {keys}." if keys else ""


def locate(target: object, kind: type, where: str, trust: Trust) -> type:
    """Return the class that a dotted path names.

    Raises:
        UserError: the path is malformed, not allowed or missing, or does not name a subclass of `kind`.
    """
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", target) or "__" in target:
        raise UserError(f"{where}._target_ is {target!r}; it is the dotted path of a class, such as my_module.MyClass.")
    module_name, _, name = target.rpartition(".")
    if not trust.allows(module_name):
        raise UserError(
            f"{where}._target_ is {target}, which is not part of mtl_cli, torch.nn or torch.optim. "
            f"If you trust that code, say so: 'trust=[{module_name.partition('.')[0]}]'."
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"{where}._target_ is {target}: {error}. Correct it, or install what it needs.") from error
    except UserError:  # it needs a package, and says which
        raise
    except Exception as error:  # the user's own code may raise anything
        raise UserError(
            f"{where}._target_ is {target}: importing {module_name} raised {type(error).__name__}: {error}. "
            "Correct that file; debug=true shows the traceback."
        ) from error
    found = vars(module).get(name)
    if not isinstance(found, type):
        known = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, kind)]
        what = "is not a class" if found is not None else "does not exist"
        raise UserError(f"{where}._target_ is {target}, which {what}.{nearest(name, known)}")
    if not trust.allows(found.__module__):
        raise UserError(f"{where}._target_ is {target}, which comes from {found.__module__}; that is not trusted.")
    if not issubclass(found, kind):
        raise UserError(f"{where}._target_ is {target}, which is not a {kind.__name__} (a subclass is expected there).")
    if inspect.isabstract(found):
        methods = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UserError(f"{where}._target_ is {target}, which is abstract: it lacks {methods}. Name a subclass of it.")
    return found


def bind(node: object, kind: type, where: str, trust: Trust, runtime: Collection[str] = ()) -> Component:
    """Return the class that a config node names, with arguments that fit its signature.

    Args:
        node: a mapping with `_target_` and arguments.
        kind: the class that it must be a subclass of.
        where: the node's place in the config, for messages.
        trust: what may be imported.
        runtime: names of the arguments that the program adds.

    Raises:
        UserError: some arguments do not fit; all of them are named.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise UserError(f"{where} is {node!r}; it is a mapping with a _target_ and its arguments.")
    cls = locate(node["_target_"], kind, where, trust)
    keys = keys_of(cls)
    problems: list[str] = []
    arguments: dict[str, Any] = {}
    for name, value in node.items():
        if name == "_target_":
            continue
        try:
            arguments[name] = argument(name, value, keys, where, trust, runtime)
        except UserError as error:
            problems += error.problems
    for name, key in keys.items():
        if key.required and name not in node and name not in runtime:
            problems.append(f"{where}.{name} is missing; {cls.__name__} needs it. Add +{where}.{name}=VALUE.")
    if problems:
        raise UserError(problems)
    return Component(where, cls, arguments)


def argument(
    name: object,
    value: object,
    keys: Mapping[str, Key],
    where: str,
    trust: Trust,
    runtime: Collection[str],
) -> object:
    """Return the value of one argument; a nested component is bound where the annotation is a class.

    Raises:
        UserError: the argument is unknown, set by the program, or of a wrong type.
    """
    path = f"{where}.{name}"
    if not isinstance(name, str) or name.startswith("_") or name not in keys:
        known = [each for each in keys if each not in runtime]
        raise UserError(f"{path} is unknown: {value!r}.{nearest(str(name), known)} Drop it.")
    if name in runtime:
        raise UserError(f"{path} is {value!r}; the program sets it. Drop it.")
    key = keys[name]
    if isinstance(value, Mapping) and "_target_" in value:
        if not isinstance(key.hint, type) or key.hint.__module__ == "builtins":
            raise UserError(f"{path} is a component, {value['_target_']}; a plain value is expected there.")
        return bind(value, key.hint, path, trust)
    if wrong := problem(path, value, key.hint, key.rule, key.example):
        raise UserError(wrong)
    return value
