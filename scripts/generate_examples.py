#!/usr/bin/env python
"""Writes the made-up tables of conf/experiment/: recommendation, medicine and assays.csv, the same ones every time.

    python scripts/generate_examples.py [FOLDER]        # examples/ by default

No row stands for a person. The laws are written out below, so the best possible figures are known: beside the columns,
each function returns what someone who knows the law would predict.

recommendation.csv, 40,000 impressions of 150 items to 200 users:
  user, item, age, price, genre, hour   inputs; users and items each have a place in a plane of tastes, and a level
  clicked                               1 with probability σ(affinity − 0.8), affinity from places, levels, price, hour
  rating                                1 … 5, only where clicked: affinity and noise, cut at four thresholds
  liked                                 yes or no, asked of a third of the clicks: σ(2·taste), taste without the price

medicine.csv, 12,000 patients:
  age, sex, bmi, pressure, glucose, creatinine (a fifth is missing), smoker, ward    inputs
  diagnosis                             none, diabetes, heart or kidney: softmax of four scores
  readmitted                            1 with probability σ(score − 2.2), about one in six
  stay                                  days in hospital, Poisson
  months, died                          proportional hazards with constant baseline, censored at random within 60 months

assays.csv, 4,000 compounds, of which each was tested in a tenth of 617 assays:
  x00 … x31                             inputs
  a000 … a616                           0 or 1, empty where not tested: σ of a score of the assay's group and its own
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
GENRES = ("drama", "comedy", "crime", "science")
DIAGNOSES = ("none", "diabetes", "heart", "kidney")
WARDS = ("north", "south", "east")
CUTS = np.array([-1.5, -0.3, 0.9, 2.1])


def sigmoid(x: Array) -> Array:
    """Return 1/(1 + e⁻ˣ)."""
    return 1.0 / (1.0 + np.exp(-x))


def recommendation(rows: int = 40_000, seed: int = 0) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the columns of recommendation.csv, and what is best to predict: probabilities, and a score for ratings."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(200, size=rows), rng.integers(150, size=rows)
    users, items = rng.normal(size=(200, 2)), rng.normal(size=(150, 2))
    levels, quality = 0.5 * rng.normal(size=200), 0.7 * rng.normal(size=150)
    age, price = rng.integers(18, 70, size=200)[user], np.exp(rng.normal(2.0, 0.5, size=150)).round(2)[item]
    genre, hour = ((items[:, 0] > 0) * 2 + (items[:, 1] > 0))[item], rng.integers(24, size=rows)
    taste = (users[user] * items[item]).sum(axis=1) + levels[user] + quality[item]
    affinity = taste - 0.06 * (price - 8.0) + 0.5 * (hour > 17) - 0.01 * (age - 40)
    clicked = rng.random(rows) < sigmoid(affinity - 0.8)
    rating = 1 + (affinity[:, None] + rng.logistic(scale=0.5, size=rows)[:, None] > CUTS).sum(axis=1)
    liked = np.where(rng.random(rows) < sigmoid(2.0 * taste), "yes", "no")
    asked = clicked & (rng.random(rows) < 1 / 3)
    columns = {
        "user": np.char.add("u", user.astype(str)),
        "item": np.char.add("i", item.astype(str)),
        "age": age,
        "price": price,
        "genre": np.array(GENRES)[genre],
        "hour": hour,
        "clicked": clicked.astype(int),
        "rating": np.where(clicked, rating.astype(str), ""),
        "liked": np.where(asked, liked, ""),
    }
    return columns, {"clicked": sigmoid(affinity - 0.8), "rating": affinity, "liked": sigmoid(2.0 * taste)}


def medicine(rows: int = 12_000, seed: int = 1) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the columns of medicine.csv, and what is best to predict: probabilities, expected days, log risk."""
    rng = np.random.default_rng(seed)
    age, sex, smoker = rng.normal(62, 14, rows).clip(20, 95), rng.random(rows) < 0.5, rng.random(rows) < 0.25
    bmi, pressure = rng.normal(27, 4.5, rows), rng.normal(132, 17, rows) + 0.3 * (age - 62)
    glucose, creatinine = rng.lognormal(4.7, 0.25, rows), rng.lognormal(0.0, 0.35, rows)
    z_age, z_bmi, z_pressure = (age - 62) / 14, (bmi - 27) / 4.5, (pressure - 132) / 17
    z_glucose, z_creatinine = (np.log(glucose) - 4.7) / 0.25, np.log(creatinine) / 0.35
    scores = np.stack(
        [
            np.full(rows, 1.0),
            1.8 * z_glucose + 0.8 * z_bmi - 0.3,
            1.3 * z_pressure + 0.7 * z_age + 0.9 * smoker - 0.2,
            2.0 * z_creatinine - 0.6,
        ],
        axis=1,
    )
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    diagnosis = (probabilities.cumsum(axis=1) < rng.random(rows)[:, None]).sum(axis=1)
    frailty = 0.6 * z_age + 0.5 * np.maximum(z_creatinine, 0) + 0.5 * smoker + 0.3 * z_glucose
    readmitted, stay = rng.random(rows) < sigmoid(frailty - 2.2), rng.poisson(np.exp(1.2 + 0.45 * frailty))
    time, end = rng.exponential(40.0 * np.exp(-frailty)), rng.uniform(0, 60, rows)
    known = rng.random(rows) >= 0.2
    columns = {
        "age": age.round().astype(int),
        "sex": np.where(sex, "f", "m"),
        "bmi": bmi.round(1),
        "pressure": pressure.round().astype(int),
        "glucose": glucose.round().astype(int),
        "creatinine": np.where(known, creatinine.round(2).astype(str), ""),
        "smoker": np.where(smoker, "yes", "no"),
        "ward": rng.choice(WARDS, rows),
        "diagnosis": np.array(DIAGNOSES)[diagnosis],
        "readmitted": readmitted.astype(int),
        "stay": stay,
        "months": np.minimum(time, end).clip(0.01).round(2),
        "died": (time <= end).astype(int),
    }
    best = {"diagnosis": probabilities, "readmitted": sigmoid(frailty - 2.2), "stay": np.exp(1.2 + 0.45 * frailty)}
    return columns, {**best, "survival": frailty}


ASSAYS, ASSAY_GROUPS, DESCRIPTORS = 617, 12, 32


def assays(
    rows: int = 4_000, seed: int = 2, number: int = ASSAYS, missing: float = 0.9
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the columns of assays.csv, and the probabilities of a 1."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, DESCRIPTORS))
    first, second = rng.normal(size=(2, DESCRIPTORS, ASSAY_GROUPS)) / np.sqrt(DESCRIPTORS)
    groups = np.tanh(2.0 * inputs @ first) + np.abs(inputs @ second) - 0.8
    own = inputs @ (rng.normal(size=(DESCRIPTORS, number)) / np.sqrt(DESCRIPTORS))
    scores = 2.0 * groups[:, np.arange(number) % ASSAY_GROUPS] + 0.5 * own + 0.5 * rng.normal(size=number)
    probabilities = sigmoid(scores)
    positive, tested = rng.random((rows, number)) < probabilities, rng.random((rows, number)) >= missing
    labels = np.where(tested, np.where(positive, "1", "0"), "")
    names = [f"a{k:03d}" for k in range(number)]
    columns = {f"x{k:02d}": inputs[:, k].round(4) for k in range(DESCRIPTORS)}
    columns |= {name: labels[:, k] for k, name in enumerate(names)}
    return columns, {name: probabilities[:, k] for k, name in enumerate(names)}


def write(path: Path, columns: dict[str, Array]) -> None:
    """Write the columns of a table."""
    cells: Sequence[Sequence[Any]] = [values.tolist() for values in columns.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*cells, strict=True))


def main() -> None:
    """Write both tables."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "examples")
    folder.mkdir(parents=True, exist_ok=True)
    for make in (recommendation, medicine, assays):
        write(folder / f"{make.__name__}.csv", make()[0])
        print(folder / f"{make.__name__}.csv")


if __name__ == "__main__":
    main()
