"""Imports point downwards only, and siblings never import each other: the layers of CONTRIBUTING.md, held by a test.

A folder is in one layer, and so is each of the words in the package's root. A file imports from its own folder and from
the layers below. In a folder of components it imports the bases of that folder, and of another one only what
`CONTRACTS` names.
"""

import ast
import functools
from pathlib import Path

import pytest

import mtl_cli

PACKAGE = Path(mtl_cli.__file__).parent
LAYERS = (
    "cli api",
    "commands",
    "export serving",
    "inference affinity merging",
    "runs init answers",
    "training",
    "model privacy",
    "sharing tasks weightings schedules datasets",
    "backbones heads metrics bundles",
    "texts images sounds",
    "tables layers",
    "config storage report",
    "batch features errors files seeding lr_schedules ranks __init__",
)
"""From the top down."""
HEIGHT = {name: len(LAYERS) - number for number, names in enumerate(LAYERS) for name in names.split()}
COMPONENTS = {"sharing", "tasks", "weightings", "schedules", "datasets", "backbones", "heads", "metrics"}
CONTRACTS = {("sharing", "backbones"), ("tasks", "heads")}
"""Folders of components whose bases the files of another one use; `metrics` any task may use."""
MAX_LOOSE = 8


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def folder_of(module):
    return module.partition(".")[0]


def imports_of(module, source):
    """Names of the modules of this package that a source imports, anywhere: in functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "mtl_cli":
                inner = name.removeprefix("mtl_cli").removeprefix(".")
                while inner and inner not in MODULES:
                    inner = inner.rpartition(".")[0]  # the last part was a class or a function
                found.add(inner or "__init__")
    return found - {module}


def is_base(module):
    return module.endswith(("base", "linalg")) or ".linalg." in module


def complaint(module, imported):
    """What is wrong with an import, or None."""
    folder, other = folder_of(module), folder_of(imported)
    if folder == "__init__":
        return None  # it repairs torchvision before anything imports it
    if folder == other:
        if folder in COMPONENTS and not is_base(imported) and not is_base(module):
            return f"{module} imports {imported}, its sibling; what they share belongs into a base"
        return None
    if HEIGHT[other] > HEIGHT[folder] or (HEIGHT[other] == HEIGHT[folder] and "." in imported):
        return f"{module} imports {imported}, which is not below it"
    if (
        {folder, other} <= COMPONENTS
        and other != "metrics"
        and not ((folder, other) in CONTRACTS and is_base(imported))
    ):
        return f"{module} imports {imported}, a component of another kind"
    return None


@functools.cache
def imports():
    """Names of the modules that each module imports."""
    found = {module: imports_of(module, path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
    return {**found, "__init__": set()}  # the public face: names that it shows to type checkers, and imports on use


def test_the_package_was_found():
    assert len(MODULES) > 200
    assert sum(len(imported) for imported in imports().values()) > 600


def test_every_folder_has_a_layer_and_the_root_holds_few_files():
    assert {folder_of(module) for module in MODULES if module} <= set(HEIGHT)
    assert {name for name in HEIGHT if name != "__init__"} <= {folder_of(module) for module in MODULES}
    loose = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert len(loose) <= MAX_LOOSE, f"{loose}: a new file belongs into the folder of its subject"


def test_imports_point_downwards_and_siblings_do_not_import_each_other():
    complaints = [complaint(module, imported) for module in sorted(imports()) for imported in sorted(imports()[module])]
    assert not any(complaints), "\n".join(filter(None, complaints))


def test_no_imports_go_round_in_a_circle():
    done, path = set(), []

    def visit(module):
        if module in path:
            pytest.fail(f"a circle: {' -> '.join([*path[path.index(module) :], module])}")
        if module in done:
            return
        path.append(module)
        for imported in sorted(imports().get(module, ())):
            visit(imported)
        done.add(path.pop())

    for module in sorted(MODULES):
        visit(module)


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("tasks.classification", "heads.base", True),
        ("tasks.classification", "metrics.auc", True),
        ("tasks.classification", "heads.mlp", False),
        ("sharing.hard", "backbones.base", True),
        ("sharing.hard", "backbones.image_base", True),
        ("sharing.hard", "backbones.cnn", False),
        ("tasks.classification", "tasks.base", True),
        ("backbones.cnn", "backbones.image_base", True),
        ("backbones.cnn", "backbones.mlp", False),
        ("weightings.mgda", "weightings.linalg.quadratic", True),
        ("datasets.letters", "backbones.base", False),
        ("features", "batch", True),
        ("features", "tasks.base", False),
        ("texts.conll", "tables.place", True),
        ("tables.place", "texts.conll", False),
        ("training.trainer", "runs.run", False),
        ("training.trainer", "training.step", True),
        ("report.tables", "training.trainer", False),
        ("storage.checkpoint", "config.run_config", False),
    ],
)
def test_the_rule_itself(module, imported, allowed):
    assert (complaint(module, imported) is None) is allowed


def test_imports_are_found_wherever_they_stand():
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from mtl_cli.training.trainer import train_job
def late():
    import mtl_cli.model.costs
    from mtl_cli import errors
    from mtl_cli.heads.base import Head
"""
    assert imports_of("batch", source) == {"training.trainer", "model.costs", "errors", "heads.base"}
