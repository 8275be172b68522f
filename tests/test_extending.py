"""A component is one class file, one YAML where its group has options, and one test: in a copy, nothing else is edited.

`tests/extending` holds a weighting, a sharing mode, a kind of task with a head and a metric of its own, and a format of
data that is trained on and predicted from. They are laid into a copy of the repository, where the shared suites must
find and pass them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDED = Path(__file__).parent / "extending"
FILES = sorted(path.relative_to(ADDED) for path in ADDED.rglob("*") if path.suffix in (".py", ".yaml"))
NAMES = {
    "weightings": "tilted",
    "sharing": "gains",
    "tasks": "geometric",
    "heads": "gated",
    "metrics": "log_error",
    "datasets": "svmlight",
}


def test_each_component_is_one_class_file_one_test_and_a_yaml_where_its_group_has_options():
    wanted = [f"mtl_cli/{folder}/{name}.py" for folder, name in NAMES.items()]
    wanted += [f"tests/{folder}/test_{name}.py" for folder, name in NAMES.items()]
    wanted += ["conf/weighting/tilted.yaml", "conf/sharing/gains.yaml", "conf/dataset/svmlight.yaml"]
    assert sorted(path.as_posix() for path in FILES) == sorted(wanted)
    assert not [path for path in FILES if (ROOT / path).exists()], "the copy would lose a file of the repository"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with the added files, and the reference of methods written anew."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("mtl_cli", "conf", "scripts", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "old_runs", "checkpoints", "extending")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ADDED, folder, dirs_exist_ok=True)
    done = python(folder, "scripts/reference.py")
    assert done.returncode == 0, done.stderr
    return folder


def python(folder, *words):
    paths = os.pathsep.join([str(folder), str(folder / "scripts")])
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )


def passed(folder, only, *suites):
    """Return how many tests pass; none may fail."""
    done = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(["-k", only] if only else []), *suites)
    assert done.returncode == 0, done.stdout[-4000:]
    return int(re.search(r"(\d+) passed", done.stdout)[1])


@pytest.mark.slow
def test_the_tests_of_the_components_pass_and_layers_and_reference_hold(copy):
    own = [path.as_posix() for path in FILES if path.parts[0] == "tests"]
    assert passed(copy, "", *own) == 8
    assert passed(copy, "svmlight", "tests/config/test_conf.py") >= 1
    assert passed(copy, "", "tests/test_layers.py") > 20
    assert passed(copy, "tilted or gains or up_to_date or heading", "tests/test_reference.py") > 8


@pytest.mark.slow
def test_a_weighting_passes_all_shared_suites(copy):
    suites = ("tests/weightings/test_every_method.py", "tests/config/test_conf.py", "tests/training/test_syncs.py")
    assert passed(copy, "tilted", *suites, "tests/runs/test_resume_every.py") >= 8


@pytest.mark.slow
def test_a_sharing_mode_passes_all_shared_suites(copy):
    suites = ("tests/sharing/test_every_mode.py", "tests/config/test_conf.py", "tests/training/test_syncs.py")
    assert passed(copy, "gains", *suites, "tests/runs/test_resume_every.py") >= 30


@pytest.mark.slow
def test_a_kind_of_task_with_a_head_and_a_metric_passes_all_shared_suites(copy):
    suites = (
        "tests/tasks/test_every_kind.py",
        "tests/tasks/test_summary_base.py",
        "tests/metrics/test_every_metric.py",
    )
    assert passed(copy, "geometric", *suites) >= 18
    assert passed(copy, "every_class", "tests/tasks/test_every_kind.py") == 1
