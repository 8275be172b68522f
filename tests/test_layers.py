"""Imports point downwards only, and siblings never import each other: the layers of CONTRIBUTING.md, held by a test.

Every file of the package is in a layer. Within layer 2 a component imports the base.py of its folder, or a base of
its family, and no other file; in the other layers a file may build on another of its layer, if no circle arises.
"""

import ast
from pathlib import Path

import pytest

import mtl_cli

PACKAGE = Path(mtl_cli.__file__).parent
COMPONENTS = 2
FOLDERS = {
    "tasks": 2, "backbones": 2, "sharing": 2, "weightings": 2, "schedules": 2, "datasets": 2, "heads": 1, "metrics": 1,
    "report": 4, "tables": 1, "texts": 1, "commands": 7,
}  # fmt: skip
FAMILY_BASES = {"backbones.images", "backbones.recurrent", "backbones.texts", "weightings.gradient_base"}
"""Bases of a part of a folder, which the files of that folder may import beside base.py."""
CONTRACTS = {("sharing", "backbones.base")}
"""Bases that the files of another folder take as an argument: a sharing mode copies a backbone's stages."""
FILES = {
    7: "cli",
    6: "components outcome run auto_resume build init_config predict predictor",
    5: "trainer recovery",
    4: "compiling job selection evaluate checkpoint environment rundir transfer",
    3: "model step loading bad_rows costs",
    2: "lr_schedules",
    1: "arithmetic batch columns config data_options digits dynamo ema errors experts features files finite idx "
    "imbalance import_path init_yaml interpolation jacobian layers memory_dataset named_modules official_files "
    "optimizer_state packaged plain_pickle pretrained quadratic records schema seeding shipped signals span_labels "
    "spans splits table_layers targets text_layers torchvision_guard typed validation window __init__",
}
LAYER = {name: layer for layer, names in FILES.items() for name in names.split()}


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def layer_of(module):
    folder, _, _ = module.partition(".")
    if "." in module or folder in FOLDERS:
        return FOLDERS.get(folder)
    return LAYER.get(module)


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


def complaint(module, imported):
    """What is wrong with an import, or None."""
    importer, target = layer_of(module), layer_of(imported)
    if target is None or importer is None:
        return None  # test_every_file_has_a_layer tells
    if target > importer:
        return f"{module} (layer {importer}) imports {imported} (layer {target}), which is above it"
    same_folder = module.partition(".")[0] == imported.partition(".")[0]
    base = imported.endswith((".base", "_base")) or imported in FAMILY_BASES
    contract = (base and same_folder) or (module.partition(".")[0], imported) in CONTRACTS
    if (target == importer == COMPONENTS or (same_folder and imported.startswith("heads."))) and not contract:
        return f"{module} imports {imported}, its sibling; move what they share into a file of layer 1"
    return None


IMPORTS = {module: imports_of(module, path.read_text(encoding="utf-8")) for module, path in MODULES.items()}


def test_the_package_was_found():
    assert len(MODULES) > 30
    assert sum(len(imported) for imported in IMPORTS.values()) > 60


def test_every_file_has_a_layer():
    unknown = sorted(module for module in MODULES if layer_of(module) is None)
    assert not unknown, f"{unknown} in no layer: place each in FILES or FOLDERS of {Path(__file__).name}"
    gone = sorted(name for name in LAYER if name not in MODULES and name != "__init__")
    assert not gone, f"{gone} stand in FILES of {Path(__file__).name}, but are no files"


def test_imports_point_downwards_and_siblings_do_not_import_each_other():
    complaints = [complaint(module, imported) for module in sorted(IMPORTS) for imported in sorted(IMPORTS[module])]
    assert not any(complaints), "\n".join(filter(None, complaints))


def test_no_imports_go_round_in_a_circle():
    done, path = set(), []

    def visit(module):
        if module in path:
            pytest.fail(f"a circle: {' -> '.join([*path[path.index(module) :], module])}")
        if module in done:
            return
        path.append(module)
        for imported in sorted(IMPORTS.get(module, ())):
            visit(imported)
        done.add(path.pop())

    for module in sorted(MODULES):
        visit(module)


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("tasks.classification", "heads.base", True),
        ("sharing.hard", "backbones.base", True),
        ("sharing.hard", "backbones.images", False),
        ("tasks.classification", "tasks.base", True),
        ("backbones.cnn", "backbones.images", True),
        ("backbones.cnn", "backbones.mlp", False),
        ("datasets.letters", "backbones.base", False),
        ("features", "tasks.base", False),
        ("heads.mlp", "heads.base", True),
        ("heads.mlp", "heads.other", False),
        ("trainer", "run", False),
        ("trainer", "step", True),
        ("report.tables", "trainer", False),
    ],
)
def test_the_rule_itself(module, imported, allowed):
    assert (complaint(module, imported) is None) is allowed


def test_imports_are_found_wherever_they_stand():
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from mtl_cli.trainer import train
def late():
    import mtl_cli.model
    from mtl_cli import errors
    from mtl_cli.heads.base import Head
"""
    if {"trainer", "model", "errors", "heads.base"} <= set(MODULES):
        assert imports_of("batch", source) == {"trainer", "model", "errors", "heads.base"}
