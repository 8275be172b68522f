"""Compares what mtl-init proposes with scikit-learn on small sets and prints one Markdown table.

    python scripts/compare_baselines.py [--sets iris,steps_3000] [--quick] [--splits 3] [--jobs 4]

For each set: mtl-init looks at its CSV, and the command that it prints is run as it stands; where a set has several
targets, also one run for each alone ("single"). A linear model (ridge or logistic regression on standardised numbers
and one-hot categories; for texts TF-IDF of words and pairs of them) and HistGradientBoosting, both as scikit-learn sets
them, learn from the training and the validation rows of the same split and are scored on the same test rows. Scores are
100 × AUC for two classes, accuracy for more and R² for numbers, means over the splits: sets of fewer than 1,000 rows
have three times as many, those of fewer than 200 twenty times. R² is against the variance of the target in all rows, so
that its mean over splits is the R² of all their test rows: three rows have no variance of their own worth the name.
Gaps are against the better of the two. Seconds are of one thread's CPU time, which other programs on the machine do not
lengthen; reading the file, evaluating and saving are included. With `--jobs` splits are compared side by side.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import shlex
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from baseline_sets import SETS, SmallSet
from measuring import compose
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, mean_squared_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mtl_cli import cli
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.file_base import FileSource
from mtl_cli.runs.build import build

QUICK = ("iris", "diabetes", "board_2000")
SPLITS = {200: 20, 1000: 3}
"""Times the splits of sets that have fewer rows than this."""
METHODS = ("proposal", "single", "linear", "boosting")


@dataclass(frozen=True)
class Score:
    """100 × AUC, accuracy or R² on the test rows, and the seconds of training."""

    value: float
    seconds: float


def kind_of(target: np.ndarray) -> str:
    """Return what a target is scored by: auc, accuracy or r2."""
    if target.dtype != object:
        return "r2"
    return "auc" if len(set(target.tolist())) == 2 else "accuracy"


def proposed(folder: Path, found: SmallSet) -> list[str]:
    """Write a set and return the words of the command that mtl-init proposes for it."""
    found.write(folder / "data.csv")
    out, conf = io.StringIO(), folder / "conf"
    words = [f"input={folder / 'data.csv'}", f"target=[{','.join(found.targets)}]", f"output={conf}", "overwrite=true"]
    with contextlib.redirect_stdout(out):
        code = cli.main_init(words)
    command = next(line for line in out.getvalue().splitlines() if line.strip().startswith("mtl-train"))
    if code:
        raise SystemExit(out.getvalue())
    return shlex.split(command)[1:]


def trained(words: Sequence[str], run: Path, targets: Mapping[str, np.ndarray], split: int) -> dict[str, Score]:
    """Run a command on one split of the rows; return the test scores of its tasks."""
    dividing = [f"tasks.{name}.dataset.split_seed={split}" for name in targets]
    own = ["trainer.device=cpu", "trainer.threads=1", "quiet=true", f"hydra.run.dir={run}"]
    before = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main([*words, *dividing, *own])
    seconds = time.process_time() - before
    if code:
        raise SystemExit(f"{shlex.join(words)} ended with {code}")
    test = json.loads((run / "summary.json").read_text())["test"]
    return {name: Score(tested(test, name, target), seconds) for name, target in targets.items()}


def tested(test: Mapping[str, float], name: str, target: np.ndarray) -> float:
    """Return the score of a task from its metrics on the test rows."""
    if (kind := kind_of(target)) == "r2":
        return explained(test[f"{name}/rmse"] ** 2, target)
    return 100 * test[f"{name}/{kind}"]


def explained(error: float, target: np.ndarray) -> float:
    """Return 100 × R² of a mean squared error, against the variance of the target in all rows."""
    return float(100 * (1 - error / target.var()))


def rows_of(words: Sequence[str], targets: Sequence[str], split: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that a command trains and validates on, and those that it tests on."""
    folder = Path(words[list(words).index("--config-dir") + 1])
    plain = [word for word in words if word not in ("--config-dir", str(folder))]
    config = compose([*plain, *(f"tasks.{name}.dataset.split_seed={split}" for name in targets)], folder)
    (source,) = build(resolve(config), Trust()).data.sources.values()
    assert isinstance(source, FileSource)
    parts = {name: rows for name, (_, rows) in source.divide().items()}
    return np.sort(np.concatenate([parts["train"], parts["val"]])), parts["test"]


def columns_of(found: SmallSet) -> np.ndarray:
    """Return the inputs as a matrix of type object: the text, numbers, categories."""
    text = [] if found.text is None else [found.text]
    return np.stack([*text, *found.numbers.values(), *found.categories.values()], axis=1, dtype=object)


def linear(found: SmallSet, kind: str) -> Any:  # noqa: ANN401  a pipeline of scikit-learn's
    """Return a linear model on standardised numbers, one-hot categories and TF-IDF."""
    model = RidgeCV(np.logspace(-3, 3, 13)) if kind == "r2" else LogisticRegression(max_iter=2000)
    return make_pipeline(encoder(found, OneHotEncoder(handle_unknown="ignore"), StandardScaler()), model)


def boosting(found: SmallSet, kind: str) -> Any:  # noqa: ANN401  a pipeline of scikit-learn's
    """Return HistGradientBoosting as it is set; it takes 255 categories per column at most."""
    first = len(found.numbers) if found.text is None else 100 + len(found.numbers)
    places = list(range(first, first + len(found.categories)))
    model = HistGradientBoostingRegressor if kind == "r2" else HistGradientBoostingClassifier
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=254)
    made = model(random_state=0, categorical_features=places or None)
    return make_pipeline(encoder(found, ordinal, "passthrough", TruncatedSVD(100, random_state=0)), made)


def encoder(found: SmallSet, categories: object, numbers: object, texts: object = "passthrough") -> ColumnTransformer:
    """Return what makes numbers of the columns: texts, numbers, categories."""
    start = 0 if found.text is None else 1
    middle = start + len(found.numbers)
    parts: list[tuple[str, Any, Any]] = [
        ("numbers", numbers, list(range(start, middle))),
        ("categories", categories, list(range(middle, middle + len(found.categories)))),
    ]
    if found.text is not None:
        tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        parts.insert(0, ("text", make_pipeline(tfidf, texts), 0))
    return ColumnTransformer(parts)


def learnt(
    make: Callable[[SmallSet, str], Any], found: SmallSet, target: str, fit: np.ndarray, test: np.ndarray
) -> Score:
    """Return the score of one of scikit-learn's models on a target."""
    y, x = found.targets[target], columns_of(found)
    kind = kind_of(y)
    before = time.process_time()
    model = make(found, kind).fit(x[fit], y[fit])
    seconds = time.process_time() - before
    if kind == "auc":
        value = roc_auc_score(y[test] == model.classes_[1], model.predict_proba(x[test])[:, 1])
    elif kind == "accuracy":
        value = accuracy_score(y[test], model.predict(x[test]))
    else:
        return Score(explained(mean_squared_error(y[test], model.predict(x[test])), y), seconds)
    return Score(100 * float(value), seconds)


def compared(found: SmallSet, folder: Path, split: int) -> dict[str, dict[str, Score]]:
    """Return the scores of all methods by target on one split."""
    words = proposed(folder, found)
    targets = list(found.targets)
    joint = trained(words, folder / f"run_{split}", found.targets, split)
    fit, test = rows_of(words, targets, split)
    scores = {}
    for target in targets:
        alone = joint[target]
        if len(targets) > 1:
            single = [f"task={target}" if word.startswith("task=") else word for word in words]
            alone = trained(single, folder / f"run_{target}_{split}", {target: found.targets[target]}, split)[target]
        others = {"linear": linear, "boosting": boosting}
        scores[target] = {
            "proposal": joint[target],
            "single": alone,
            **{key: learnt(make, found, target, fit, test) for key, make in others.items()},
        }
    return scores


def averaged(scores: Sequence[Score]) -> Score:
    """Return the mean score and the mean seconds."""
    return Score(statistics.fmean(each.value for each in scores), statistics.fmean(each.seconds for each in scores))


def table(rows: Sequence[tuple[str, dict[str, Score]]]) -> list[str]:
    """Return the lines of the Markdown table, and the gaps in words."""
    head = ["set, target", "mtl-init", "single", "linear", "boosting", "gap", "seconds, in the same order"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    gaps = []
    for name, by in rows:
        gaps.append(by["proposal"].value - max(by["linear"].value, by["boosting"].value))
        values = " | ".join(f"{by[method].value:.1f}" for method in METHODS)
        seconds = ", ".join(f"{by[method].seconds:.1f}" for method in METHODS)
        lines.append(f"| {name} | {values} | {gaps[-1]:+.1f} | {seconds} |")
    capped = statistics.fmean(min(gap, 0.0) for gap in gaps)
    mean = statistics.fmean(gaps)
    return [*lines, "", f"Gaps: {mean:+.2f} on average, {min(gaps):+.1f} at worst; gains counted as 0, {capped:+.2f}."]


def compared_by_name(name: str, split: int) -> dict[str, dict[str, Score]]:
    """Return the scores of all methods by target on one split of a set, in a folder that goes."""
    with tempfile.TemporaryDirectory() as folder:
        return compared(SETS[name](), Path(folder), split)


def splits_of(name: str, splits: int) -> int:
    """Return in how many ways a set is divided."""
    rows = len(next(iter(SETS[name]().targets.values())))
    return splits * next((times for most, times in SPLITS.items() if rows < most), 1)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}, one split each")
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args()
    names = QUICK if given.quick else given.sets.split(",")
    rows: dict[str, list[tuple[str, dict[str, Score]]]] = {name: [] for name in names}
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        runs = {
            name: [
                pool.submit(compared_by_name, name, split)
                for split in range(1 if given.quick else splits_of(name, given.splits))
            ]
            for name in reversed(names)  # the largest first, so that none is left to run alone
        }
        for name, waiting in runs.items():
            scores = [each.result() for each in waiting]
            for target in scores[0]:
                by = {method: averaged([score[target][method] for score in scores]) for method in METHODS}
                rows[name].append((f"{name}, {target}", by))
                print(table(rows[name])[-3], flush=True)
    print("", *table([row for found in rows.values() for row in found]), sep="\n")


if __name__ == "__main__":
    main()
