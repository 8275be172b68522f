"""Small sets of rows to compare with scikit-learn on: its packaged ones, generated ones, and texts that are at hand.

The generated ones have what networks find hard and trees easy, or the other way round: steps, a chess board, products
of inputs, long tails, many categories, plain lines. Most have two targets that depend on the same inputs.
"""

import csv
import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn import datasets as packaged

Column = np.ndarray
"""Numbers float64 [N], or categories, classes or texts [N] of type object."""


@dataclass(frozen=True)
class SmallSet:
    """Columns of numbers and of categories, a column of texts or none, and targets: classes or numbers."""

    numbers: Mapping[str, Column] = field(default_factory=dict)
    categories: Mapping[str, Column] = field(default_factory=dict)
    targets: Mapping[str, Column] = field(default_factory=dict)
    text: Column | None = None

    def write(self, path: Path) -> None:
        """Write the set as CSV."""
        texts = {} if self.text is None else {"text": self.text}
        columns = {**texts, **self.numbers, **self.categories, **self.targets}
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def numbered(values: np.ndarray) -> dict[str, Column]:
    """Return the columns of a matrix [N, D] by names."""
    return {f"x{index}": column for index, column in enumerate(values.T.astype(np.float64))}


def words(values: np.ndarray, *names: str) -> Column:
    """Return classes int [N] as texts."""
    return np.array([names[value] if names else f"c{value}" for value in values.astype(int)], dtype=object)


def yes(values: np.ndarray) -> Column:
    """Return truths [N] as texts."""
    return words(values, "no", "yes")


def from_sklearn(name: str) -> SmallSet:
    """Return a packaged set of classes."""
    found = getattr(packaged, f"load_{name}")()
    return SmallSet(numbered(found.data), targets={"target": words(found.target)})


def diabetes() -> SmallSet:
    """442 patients: the progression of their disease."""
    found = packaged.load_diabetes()
    return SmallSet(numbered(found.data), targets={"progression": found.target + 0.001})  # a fraction: not a count


def linnerud() -> SmallSet:
    """20 men: their exercises, and the numbers of their bodies."""
    found = packaged.load_linnerud()
    body = {name.lower(): found.target[:, index] for index, name in enumerate(found.target_names)}
    return SmallSet(numbered(found.data), targets=body)


def steps(rows: int, stream: np.random.Generator) -> SmallSet:
    """Rows of sums and products of steps of four inputs among ten."""
    x = stream.uniform(-1, 1, (rows, 10))
    z = np.floor(4 * x[:, 0]) + 2 * np.floor(3 * x[:, 1]) * (x[:, 2] > 0.3) + np.floor(5 * x[:, 3])
    noisy = [z + 0.5 * stream.normal(size=len(z)) for _ in range(2)]
    return SmallSet(numbered(x), targets={"value": noisy[0], "high": yes(noisy[1] > 0)})


def board(stream: np.random.Generator) -> SmallSet:
    """2,000 rows: the colour of a field of a chess board of 4 × 4, among six inputs, 5 % of them wrong."""
    x = stream.uniform(-2, 2, (2000, 6))
    colour = (np.floor(x[:, 0]) + np.floor(x[:, 1])) % 2 == 1
    return SmallSet(numbered(x), targets={"white": yes(colour ^ (stream.random(2000) < 0.05))})


def products(rows: int, stream: np.random.Generator) -> SmallSet:
    """Rows of products of pairs of inputs."""
    x = stream.normal(size=(rows, 8))
    z = x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + 0.5 * x[:, 4]
    noisy = [z + 0.3 * stream.normal(size=len(z)) for _ in range(2)]
    return SmallSet(numbered(x), targets={"value": noisy[0], "positive": yes(noisy[1] > 0)})


def tails(rows: int, stream: np.random.Generator) -> SmallSet:
    """Rows of inputs and charges with long tails, and who died."""
    x = np.exp(1.5 * stream.normal(size=(rows, 8)))
    z = 0.5 * np.log(x[:, 0]) + 0.3 * np.log(x[:, 1]) + 0.5 * (x[:, 2] > 3)
    charge = 1000 * np.exp(z + 0.4 * stream.normal(size=len(z)))
    return SmallSet(numbered(x), targets={"charge": charge, "died": yes(z + stream.logistic(size=len(z)) > 0.2)})


def categories(rows: int, stream: np.random.Generator) -> SmallSet:
    """Rows of four columns of 4 to 300 categories, each with an effect of its own, and four numbers."""
    sizes = (300, 50, 12, 4)
    codes = [stream.integers(0, size, rows) for size in sizes]
    effects = [stream.normal(size=size)[code] for size, code in zip(sizes, codes, strict=True)]
    x = stream.normal(size=(rows, 4))
    z = sum(effects) + x[:, 0] + effects[2] * x[:, 1]
    named = {f"c{size}": words(code) for size, code in zip(sizes, codes, strict=True)}
    bought = yes(z + stream.logistic(size=len(z)) > 0)
    return SmallSet(numbered(x), named, {"value": z + 0.5 * stream.normal(size=len(z)), "bought": bought})


def mixed(stream: np.random.Generator) -> SmallSet:
    """20,000 rows: bends, products, and categories that are compared with each other."""
    x, c = stream.normal(size=(20_000, 12)), stream.integers(0, 8, (20_000, 3))
    z = np.where(x[:, 0] > 0, x[:, 1], -x[:, 2]) + 0.8 * (c[:, 0] == c[:, 1]) + 0.5 * np.abs(x[:, 3])
    z -= 0.3 * (c[:, 2] > 4) * x[:, 4]
    named = {f"c{index}": words(column) for index, column in enumerate(c.T)}
    value, bought = z + 0.5 * stream.normal(size=len(z)), yes(z + stream.logistic(size=len(z)) > 0.5)
    return SmallSet(numbered(x), named, {"value": value, "bought": bought})


def friedman(number: int, rows: int) -> SmallSet:
    """One of Friedman's functions."""
    x, y = getattr(packaged, f"make_friedman{number}")(rows, random_state=0)
    stream = np.random.default_rng(number)
    return SmallSet(numbered(x), targets={"y": y + 0.2 * y.std() * stream.normal(size=rows)})


def line(rows: int) -> SmallSet:
    """Rows of 30 inputs, ten of which add up to the target."""
    x, y = packaged.make_regression(rows, 30, n_informative=10, noise=20.0, random_state=0)
    return SmallSet(numbered(x), targets={"y": y})


def clusters(rows: int) -> SmallSet:
    """Rows of 20 inputs in six clusters of three classes, 5 % of them wrong."""
    x, y = packaged.make_classification(
        rows, 20, n_informative=8, n_classes=3, n_clusters_per_class=2, flip_y=0.05, random_state=1
    )
    return SmallSet(numbered(x), targets={"class": words(y)})


def hastie(rows: int) -> SmallSet:
    """Ten normal inputs: whether they lie outside of a ball."""
    x, y = packaged.make_hastie_10_2(rows, random_state=0)
    return SmallSet(numbered(x), targets={"outside": yes(y > 0)})


LIBRARIES = ("numpy", "scipy", "sklearn", "torch", "matplotlib")


def documentation() -> SmallSet:
    """First paragraphs of docstrings of installed libraries, in which their names are hidden: library, and its kind."""
    found: dict[str, tuple[str, str]] = {}
    for library in LIBRARIES:
        for member in members_of(library):
            text = " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())[:400]
            if len(text.split()) >= 5:
                for hidden in LIBRARIES:
                    text = text.replace(hidden, "it").replace(hidden.title(), "it")
                found.setdefault(text, (library, "class" if inspect.isclass(member) else "function"))
    rows = sorted((text, *labels) for text, labels in found.items())
    order = np.random.default_rng(0).permutation(len(rows))[:4000]
    text, library, kind = (np.array([rows[index][place] for index in order], dtype=object) for place in range(3))
    return SmallSet(targets={"library": library, "kind": kind}, text=text)


def members_of(library: str) -> list[object]:
    """Return public classes and functions of a library's modules."""
    warnings.simplefilter("ignore")  # of what is deprecated in the libraries
    root = importlib.import_module(library)
    names = [library, *(f"{library}.{module.name}" for module in pkgutil.iter_modules(root.__path__))]
    found: dict[str, object] = {}
    for name in names:
        if any(part.startswith("_") or part in ("test", "tests", "testing", "conftest") for part in name.split(".")):
            continue
        try:
            module = importlib.import_module(name)
        except Exception:
            continue
        for own, member in vars(module).items():
            home = getattr(member, "__module__", None) or ""
            if not own.startswith("_") and home.startswith(library) and callable(member):
                found[f"{home}.{own}"] = member
    return [found[name] for name in sorted(found)]


SETS: Mapping[str, Callable[[], SmallSet]] = {
    "linnerud": linnerud,
    "iris": lambda: from_sklearn("iris"),
    "wine": lambda: from_sklearn("wine"),
    "breast_cancer": lambda: from_sklearn("breast_cancer"),
    "digits": lambda: from_sklearn("digits"),
    "diabetes": diabetes,
    "line_500": lambda: line(500),
    "clusters_1000": lambda: clusters(1000),
    "steps_500": lambda: steps(500, np.random.default_rng(1)),
    "tails_500": lambda: tails(500, np.random.default_rng(1)),
    "categories_800": lambda: categories(800, np.random.default_rng(1)),
    "friedman1_500": lambda: friedman(1, 500),
    "friedman2_1000": lambda: friedman(2, 1000),
    "products_1000": lambda: products(1000, np.random.default_rng(1)),
    "friedman3_2000": lambda: friedman(3, 2000),
    "board_2000": lambda: board(np.random.default_rng(0)),
    "steps_3000": lambda: steps(3000, np.random.default_rng(0)),
    "tails_4000": lambda: tails(4000, np.random.default_rng(0)),
    "hastie_4000": lambda: hastie(4000),
    "products_5000": lambda: products(5000, np.random.default_rng(0)),
    "clusters_5000": lambda: clusters(5000),
    "categories_6000": lambda: categories(6000, np.random.default_rng(0)),
    "mixed_20000": lambda: mixed(np.random.default_rng(0)),
    "docstrings": documentation,
}
"""Makers by name, the smallest first."""
