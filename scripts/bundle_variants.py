"""Size, memory and latency of the variants of a model: checkpoint, bundles of each format, and int8.

python scripts/bundle_variants.py FOLDER

It trains three small models into the new FOLDER, exports each in four ways, and runs each variant in a process of its
own with one thread, which says how much memory it took at most, and the CPU time of answers, which other processes on
the machine change little. It prints the table of mtl_cli/export/README.md.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import mtl_cli

JOBS = {
    "digits, `cnn`": ["task=mnist_digits", "trainer.max_steps=80"],
    "table of 20 numbers, `tabm`": ["task=y+z", "backbone=tabm", "trainer.max_steps=80"],
    "texts, `transformer`": ["task=mood", "backbone=transformer", "trainer.max_steps=30"],
}
VARIANTS = {
    "checkpoint": {}, "torch": {"format": "torch"}, "safetensors": {"format": "safetensors"},
    "onnx": {"format": "onnx"}, "onnx, int8": {"format": "onnx", "quantise": "int8"},
}  # fmt: skip
CHILD = """
import json, re, sys, time
import numpy as np, mtl_cli
def best(run, times):
    run()
    found = []
    for _ in range(times):
        start = time.process_time(); run(); found.append(1000 * (time.process_time() - start))
    return sorted(found)[len(found) // 2]
rows = json.load(open(sys.argv[2]))
rows = rows if isinstance(rows[0], (dict, str)) else np.array(rows, np.uint8)
start = time.process_time(); predictor = mtl_cli.load(sys.argv[1]); predictor.predict(rows[:1])
first = time.process_time() - start
print(json.dumps({"first": first, "one": best(lambda: predictor.predict(rows[:1]), 30),
                  "many": best(lambda: predictor.predict(rows), 5),
                  "memory": int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1000}))
"""


def table() -> list[dict[str, object]]:
    """Return rows of numbers with a class and a number."""
    stream = np.random.default_rng(0)
    x = stream.normal(size=(2000, 20)).round(3)
    numbers = [{f"x{k}": float(value) for k, value in enumerate(row)} for row in x]
    labels = [{"y": "ab"[int(row[:3].sum() > 0)], "z": round(float(row[4:].sum()), 3)} for row in x]
    return [{**each, **label} for each, label in zip(numbers, labels, strict=True)]


def texts() -> list[dict[str, object]]:
    """Return texts of about 40 words, a third of them with a good or a bad word."""
    stream = np.random.default_rng(0)
    words = np.array([f"word{k}" for k in range(500)])
    rows = []
    for _ in range(1000):
        good = bool(stream.integers(2))
        chosen = [*stream.choice(words, size=stream.integers(30, 50)), *(["superb", "awful"][1 - good],) * 4]
        rows.append({"text": " ".join(stream.permutation(chosen)), "mood": ["sad", "happy"][good]})
    return rows


def written(rows: list[dict[str, object]], folder: Path, targets: str) -> list[dict[str, object]]:
    """Write rows with their conf folder by mtl-init; return the first 256, without targets."""
    folder.mkdir(parents=True)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-c", "from mtl_cli import cli; import sys; sys.exit(cli.init())"]
    subprocess.run([*command, f"input={folder / 'data.csv'}", f"target=[{targets}]", f"output={folder / 'conf'}"],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    return [{key: value for key, value in row.items() if key not in targets.split(",")} for row in rows[:256]]


def inputs(name: str, folder: Path) -> list[object]:
    """Return 256 inputs of a job; its data is written where it is not shipped."""
    if name.startswith("table"):
        return list(written(table(), folder, "y,z"))
    if name.startswith("texts"):
        return list(written(texts(), folder, "mood"))
    folder.mkdir(parents=True)
    return np.random.default_rng(0).integers(0, 256, (256, 28, 28)).tolist()


def measured(path: Path, rows: Path) -> dict[str, float]:
    """Return what a process finds that loads a model and predicts rows."""
    done = subprocess.run([sys.executable, "-c", CHILD, path, rows], check=True, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def size(path: Path) -> float:
    """Return megabytes of the files of a model."""
    files = path.rglob("*") if path.name != "run" else [max((path / "checkpoints").glob("*.pt"))]
    return sum(each.stat().st_size for each in files if each.suffix in (".pt", ".onnx", ".safetensors")) / 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print("| model | variant | size | memory | first answer | 1 row | 256 rows |", "| --- " * 7 + "|", sep="\n")
    for number, (name, words) in enumerate(JOBS.items()):
        folder = options.folder / str(number)
        rows = folder / "rows.json"
        given = inputs(name, folder)
        rows.write_text(json.dumps(given))
        conf = folder / "conf"
        with contextlib.redirect_stdout(io.StringIO()):
            run = mtl_cli.train([*words, f"hydra.run.dir={folder / 'run'}", "trainer.device=cpu"], quiet=True,
                                config_dir=conf if conf.is_dir() else None)  # fmt: skip
        for variant, words_of in VARIANTS.items():
            path = run.path if not words_of else run.export(folder / variant, overrides={"rows": 100}, **words_of)  # type: ignore[arg-type]
            got = measured(path, rows)
            print(
                f"| {name} | {variant} | {size(path):.2f} MB | {got['memory']:.0f} MB | {got['first']:.1f} s | "
                f"{got['one']:.2f} ms | {got['many']:.1f} ms |", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
