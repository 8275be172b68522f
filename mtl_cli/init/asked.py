"""What the command line of mtl-init asks for, checked: targets and their names, and how the file is read."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mtl_cli.config.annotations import one_of
from mtl_cli.config.shipped import conf_dir, group_options
from mtl_cli.errors import UserError, nearest
from mtl_cli.init.yaml_files import WORDS
from mtl_cli.tables.named_files import Place, place_of
from mtl_cli.tables.reading import ReadOptions, TableFile

READING = tuple(each.name for each in fields(ReadOptions))
OPTIONS = (
    "target", "name", "ignore_case", "separator", "text", "source", "drop", "split", "group", "columns", "word",
    *READING, "folder", "data.root", "overwrite",
)  # fmt: skip
TABLES = ("csv", "tsv", "jsonl", "parquet", "feather")
IMAGES = ("coco", "voc", "yolo", "pairs", "classes", "boxes")
FORMATS = ("auto", *TABLES, "conll", "conllu", *IMAGES)
ONLY_WORDS = ("columns", "word")
ONLY_ROWS = (
    "text",
    "source",
    "folder",
    "drop",
    "split",
    "ignore_case",
    "separator",
    *(key for key in READING if key not in ("format", "encoding")),
)
"""Options that only files of one word a line have, and that only files of rows have."""
AUTO = "auto"
"""Value of an option that is found by looking."""
ROOT = "data.root"
"""The folder below which all files are, as of mtl-train."""
KIND = "kind."
"""What begins an option that says of what kind a column of pictures is: kind.instances=detection."""
MAX_NAME = 60
"""Letters of a target's name, which stands in names of files and columns."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a file of rows: the columns of each target by its name, and columns that are not inputs.

    `told` are the options of reading that were given, which nothing is looked for. `root` is data.root, and `folder`
    where the files are that the file names, as the dataset's option of that name.
    """

    targets: Mapping[str, Sequence[str]]
    group: str | None = None
    split: str | None = None
    drop: tuple[str, ...] = ()
    ignore_case: bool = False
    told: frozenset[str] = frozenset()
    root: str | None = None
    folder: str | None = None
    separator: str | None = AUTO
    """What stands between several labels in one cell of a target; None where cells are single labels."""

    @property
    def answers(self) -> list[str]:
        """The columns of all targets, each once."""
        return list(dict.fromkeys(column for columns in self.targets.values() for column in columns))

    def place(self, file: TableFile) -> Place:
        """Return where the files are that a file names."""
        return place_of(file, self.root, self.folder)

    @property
    def taken(self) -> list[str]:
        """Every column that is named, and so is not an input."""
        return [*self.answers, *self.drop, *(name for name in (self.group, self.split) if name)]


def asked_of(options: Mapping[str, Any]) -> Asked:
    """Return what options that were checked ask of a file of rows."""
    return Asked(
        targets=target_columns(options["target"], options.get("name")) if options.get("target") else {},
        group=options.get("group"),
        split=options.get("split"),
        drop=tuple(listed(options.get("drop"))),
        ignore_case=options.get("ignore_case", False),
        told=frozenset(options) & frozenset(READING),
        root=options.get(ROOT),
        folder=options.get("folder"),
        separator=options.get("separator", AUTO),
    )


def spelled_out(options: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return options in which a target such as assay_* is every column of that form that is not used otherwise."""
    listed_ones = options["target"] if isinstance(options.get("target"), list) else [options.get("target")]
    plain = [each for each in listed_ones if "*" not in str(each) or str(each) in columns]
    others = [*plain, *listed(options.get("drop")), *(options.get(key) for key in ("split", "group"))]
    others += listed(options.get("text"))
    found: list[Any] = []
    for each in listed_ones:
        form = re.compile(".*".join(map(re.escape, str(each).split("*"))))
        alike = [name for name in columns if form.fullmatch(name) and name not in (*others, *found)]
        found += [each] if each in plain or not alike else alike
    return {**options, "target": found}


def kinds_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what `kind.COLUMN=` says of columns of pictures."""
    return {key.removeprefix(KIND): str(value) for key, value in options.items() if key.startswith(KIND)}


def reading_of(options: Mapping[str, Any]) -> ReadOptions:
    """Return how a file of rows is read.

    Raises:
        UserError: a value does not fit.
    """
    lists = ("column_names", "number_signs", "missing_values")
    told: dict[str, Any] = {
        key: listed(options[key]) if key in lists else options[key] for key in READING if key in options
    }
    return ReadOptions(**told)


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that mtl-init does not have.

    Raises:
        UserError: every one.
    """
    problems = [
        f"mtl-init has no option {key}={value}.{nearest(key, OPTIONS)} mtl-init --help shows what it takes."
        for key, value in options.items()
        if key not in OPTIONS and not key.startswith(KIND)
    ]
    problems += [
        f"{key} is {options[key]!r}; it is a text. Quote it: {key}='\"…\"'."
        for key in ("group", "split", "word", "source", "folder", ROOT, "format", "delimiter", "encoding")
        if not isinstance(options.get(key, ""), str)
    ]
    if not isinstance(options.get("separator", AUTO), str | None) or options.get("separator") == "":
        problems.append(f"separator is {options['separator']!r}; it is a text, such as separator=\"';'\", or null.")
    if (told := options.get("format", "auto")) not in FORMATS:
        problems.append(one_of("format", told, FORMATS))
    if not isinstance(options.get("columns") or [], list):
        problems.append(f"columns is {options['columns']!r}; it is a list of names, such as columns=[word,pos,ner].")
    problems += [
        f"{key} is {options[key]!r}; it is true or false."
        for key in ("overwrite", "ignore_case")
        if not isinstance(options.get(key, False), bool)
    ]
    if problems:
        raise UserError(problems)


def listed(value: Any) -> list[str]:  # noqa: ANN401  what was typed
    """Return one text or a list of texts as a list."""
    return [] if value is None else list(map(str, value)) if isinstance(value, list) else [str(value)]


def target_columns(value: Any, names: Any = None) -> dict[str, list[str]]:  # noqa: ANN401  texts or lists of them
    """Return the columns of each target by its name: columns joined by + make one target.

    Raises:
        UserError: a target is not a text, or is there twice; or the names that were given do not fit.
    """
    found: list[list[str]] = []
    for each in value if isinstance(value, list) else [value]:
        columns = [part.strip() for part in str(each).split("+")]
        if not all(columns):
            raise UserError(f"target is {value!r}; it is a list of columns, such as 'target=[income,days+died]'.")
        if columns in found:
            raise UserError(f"target is {value!r}, which has '{each}' twice. Give each target once.")
        found.append(columns)
    if names is not None:
        return dict(zip(checked_names(listed(names), len(found)), found, strict=True))
    shipped = group_options([conf_dir()]).get("task", [])
    named: dict[str, list[str]] = {}
    for columns in found:
        plain = free_name(name_of(columns), shipped, "_task")
        taken = {name.lower() for name in named}  # file systems may hold A.yaml and a.yaml for the same
        named[next(name for name in numbered(plain) if name.lower() not in taken)] = columns
    return named


def checked_names(names: Sequence[str], targets: int) -> Sequence[str]:
    """Return names of targets that were given.

    Raises:
        UserError: there are more or fewer names than targets, or one cannot be the name of a task.
    """
    if len(names) != targets or len({name.lower() for name in names}) < targets:
        raise UserError(f"name is {list(names)}; it gives each of the {targets} targets a name of its own, in order.")
    if bad := [name for name in names if slug(name, "_") != name or WORDS.fullmatch(name) or len(name) > MAX_NAME]:
        raise UserError(
            f"name is '{bad[0]}'; a name has Latin letters, digits and _, at most {MAX_NAME}, a letter first. "
            f"Use for example name={slug(bad[0], 'labels')[:MAX_NAME]}."
        )
    return names


def name_of(columns: Sequence[str]) -> str:
    """Return the name of a target: that of its columns or, where these are long, what they begin with."""
    name = slug("_".join(columns), "target")
    if len(name) <= MAX_NAME:
        return name
    common = slug(beginning(columns), "") if len(columns) > 1 else ""
    more = f"_and_{len(columns) - 1}_more" if len(columns) > 1 else ""
    return common[:MAX_NAME] if len(common) >= 3 else slug(columns[0], "target")[: MAX_NAME - len(more)] + more


def beginning(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)


def numbered(name: str) -> Iterator[str]:
    """Yield a name, and then the name with a number behind it."""
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(2))


def slug(text: str, empty: str) -> str:
    """Return a text as a name of tasks and files, kept where Hydra can hold it: Latin letters, digits and _."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"{empty}_{name}".rstrip("_")


def free_name(name: str, taken: Sequence[str], ending: str) -> str:
    """Return a name that the package's own conf files do not have, and that neither YAML nor Hydra reads as a value."""
    return f"{name}{ending}" if name in taken or WORDS.fullmatch(name) else name
