"""Where a run happened: versions, hardware, git state, seed and command, for its environment.json."""

import contextlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mtl_cli import __version__
from mtl_cli.training.arithmetic import Arithmetic

PACKAGES = ("torch", "torchvision", "torchmetrics", "torchjd", "numpy", "hydra-core", "omegaconf")
"""Packages whose versions are recorded."""
_ENTRY = re.compile(r"([^\0\n][^\0]*)\0  ctime:.*\n  mtime: (\d+):(\d+)\n  dev:.*\n  uid:.*\n  size: (\d+)\t.*\n")
"""An entry of `git ls-files --debug -z`: name, seconds and nanoseconds of its time, size."""


def environment(command: Sequence[str], config: Mapping[str, Any], arithmetic: Arithmetic) -> dict[str, Any]:
    """Return where and how a run happens."""
    device = arithmetic.device
    return {
        "command": list(command),
        "seed": config["seed"],
        "deterministic": config["deterministic"],
        "mtl_cli": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "packages": versions(),
        "platform": platform.platform(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "memory_gb": memory(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "precision": arithmetic.precision,
        "threads": torch.get_num_threads(),
        "executable": Path(sys.executable).name,
        "git": git_state(Path.cwd()),
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages among PACKAGES."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> float | None:
    """Return the machine's memory in GB, None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit that a folder is at and the number of tracked files that differ from it; None without git.

    A repository may set programs that git runs; these commands compare times and sizes only, and run none of them.
    """
    commit = git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    staged = git(folder, "diff-index", "--cached", "--name-only", "-z", "HEAD") or ""
    changed = {name for name in staged.split("\0") if name}
    top = Path((git(folder, "rev-parse", "--show-toplevel") or ".").rstrip("\n"))
    listed = git(top, "ls-files", "--debug", "-z") or ""  # `git diff` would run the repository's filters
    changed |= {name for name, *stamp in _ENTRY.findall(listed) if differs(top / name, *map(int, stamp))}
    return {"commit": commit.strip(), "changed_files": len(changed)}


def differs(path: Path, seconds: int, nanoseconds: int, size: int) -> bool:
    """Whether a file has another time or size than these, or is missing."""
    try:
        found = path.lstat()
    except OSError:
        return True
    return not path.is_dir() and (found.st_mtime_ns, found.st_size) != (seconds * 10**9 + nanoseconds, size)


def git(folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints, None where it fails."""
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
