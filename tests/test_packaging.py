"""Pins, declared dependencies and the files of the distribution fit together."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import mtl_cli

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = [
    line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]
PINS = {canonicalize_name(Requirement(line).name): Requirement(line).specifier for line in LINES}
INSTALLED_BY_TESTS = ("solvers", "sweeps", "tables", "dev")


def declared():
    lines = [
        *PROJECT["dependencies"],
        *[line for extra in INSTALLED_BY_TESTS for line in PROJECT["optional-dependencies"][extra]],
    ]
    return [Requirement(line) for line in lines if not line.startswith("mtl-cli")]


def version_of(specifiers: SpecifierSet) -> Version:
    [specifier] = specifiers
    assert specifier.operator == "=="
    return Version(specifier.version)


def test_every_pin_is_one_public_version():
    assert len(LINES) == len(PINS) > 30
    for line in LINES:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line
    assert version_of(PINS["torch"]) == Version("2.13.0")
    assert version_of(PINS["torch"]).local is None


def test_no_cuda_package_is_pinned():
    assert not [name for name in PINS if name.startswith(("nvidia", "cuda", "triton"))]


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_every_declared_dependency_is_pinned_within_its_range(requirement):
    assert requirement.specifier.contains(version_of(PINS[canonicalize_name(requirement.name)]), prereleases=True)


@pytest.mark.slow
def test_every_dependency_is_imported_by_the_package():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "mtl_cli").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    distributions = packages_distributions()
    owners = {canonicalize_name(owner) for name in imported for owner in distributions.get(name, [])}
    declared_names = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert len(declared_names) > 5
    assert declared_names <= owners


def test_every_lower_bound_gives_its_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = block.group(1).splitlines()
    assert len(lines) == len(PROJECT["dependencies"])
    for line in lines:
        assert re.search(r'>=[\d.]+.*",\s+# \S', line), line


def test_the_version_is_written_once():
    assert "version" not in PROJECT
    assert Version(mtl_cli.__version__)


@pytest.mark.parametrize("name", ["scripts/quickstart", "scripts/test", "scripts/check_wheel", ".ci/run"])
def test_scripts_can_be_executed_and_stop_at_the_first_error(name):
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -eu\n" in text


def find_python(path_entries, **variables):
    command = f". {ROOT / 'scripts' / 'environment.sh'}; find_python"
    environment = {"PATH": ":".join([*map(str, path_entries), "/usr/bin", "/bin"]), **variables}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


def fake_python(folder, name, code):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


def test_set_up_takes_the_newest_python_that_works(tmp_path):
    for name in ("python3.13", "python3.12"):
        fake_python(tmp_path, name, "exit 127")  # a version manager's shim of a version that is not active
    for name in ("python3.11", "python3"):
        fake_python(tmp_path, name, f'exec {sys.executable} "$@"')
    assert find_python([tmp_path]).stdout.strip() == "python3.11"


def test_set_up_takes_the_python_that_is_asked_for_or_says_why_not(tmp_path):
    chosen = fake_python(tmp_path, "mine", f'exec {sys.executable} "$@"')
    assert find_python([], MTL_PYTHON=str(chosen)).stdout.strip() == str(chosen)
    old = fake_python(tmp_path, "old", "exit 1")
    refused = find_python([], MTL_PYTHON=str(old))
    assert refused.returncode == 2
    assert f"MTL_PYTHON is '{old}', which is not a Python >= 3.11" in refused.stderr
