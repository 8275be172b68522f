"""What the source of a class says (docstrings, bases, constants), read without importing it."""

import ast
import contextlib
import functools
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE_PARENT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class SourceClass:
    """A class as its source shows it."""

    name: str
    module: str
    subject: str
    """First line of the module's docstring."""
    text: str
    """Docstring without its sections on arguments and errors."""
    ancestors: tuple[str, ...] = ()
    """Names of the class and its bases, as far as their sources are found."""
    constants: dict[str, Any] = field(default_factory=dict)
    """Class attributes that are literals, those of the bases included."""

    @property
    def summary(self) -> str:
        """What the class is, in a line: the subject of its module, unless the module holds several classes."""
        return self.subject or self.text.partition("\n\n")[0].replace("\n", " ")

    @property
    def aliases(self) -> list[str]:
        """Other names that the docstring gives by "Also called: A, B."."""
        found = re.search(r"^Also called: ([^.\n]*)\.", self.text, re.MULTILINE)
        return [name.strip() for name in found[1].split(",")] if found else []


def source_class(target: str, folders: Sequence[Path] = ()) -> SourceClass | None:
    """Return the class that a dotted path names, from this package or a module in one of the folders, or None."""
    module, _, name = target.rpartition(".")
    tree = _tree(module, tuple(folders))
    if tree is None:
        return None
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    node = next((node for node in classes if node.name == name), None)
    if node is None:
        return None
    imported = _imported(tree)
    ancestors, constants = [name], dict[str, Any]()
    for base in node.bases:
        path = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        above = source_class(imported.get(path, f"{module}.{path}"), folders)
        ancestors += above.ancestors if above else [path]
        constants = {**(above.constants if above else {}), **constants}
    public = [each for each in classes if not each.name.startswith("_")]
    subject = (ast.get_docstring(tree) or "").partition("\n")[0] if len(public) == 1 else ""
    text = text_of(ast.get_docstring(node) or "")
    return SourceClass(name, module, subject, text, tuple(ancestors), {**constants, **_constants(node)})


def text_of(docstring: str) -> str:
    """Return a docstring without its sections on arguments and errors."""
    return re.split(r"\n+(?:Args|Raises):\n", inspect.cleandoc(docstring))[0].strip()


@functools.cache
def _tree(module: str, folders: tuple[Path, ...]) -> ast.Module | None:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module):
        return None
    path = Path(*module.split("."))
    for folder in (PACKAGE_PARENT, *folders):
        for file in (folder / path.with_suffix(".py"), folder / path / "__init__.py"):
            try:
                return ast.parse(file.read_text(encoding="utf-8"))
            except (OSError, SyntaxError, ValueError):
                continue
    return None


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return the dotted paths of names that a module imports from others."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _constants(node: ast.ClassDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in node.body:
        if not isinstance(item, ast.Assign | ast.AnnAssign) or item.value is None:
            continue
        for target in item.targets if isinstance(item, ast.Assign) else [item.target]:
            with contextlib.suppress(ValueError):  # a value that is computed
                found[ast.unparse(target)] = ast.literal_eval(item.value)
    return found
