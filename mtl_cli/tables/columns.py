"""Which columns of a table are inputs, and how each is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.errors import UserError
from mtl_cli.tables.labels import Target
from mtl_cli.tables.profile import Profile
from mtl_cli.tables.reading import TableFile, require_columns


@dataclass(frozen=True)
class Declared:
    """What a config says about columns.

    Where both `numeric` and `categorical` are given, these are all inputs. Where one is None, every other column is an
    input too, of the kind that its cells show, unless it is dropped, a target, or a column of splits or groups.
    """

    numeric: tuple[str, ...] | None
    categorical: tuple[str, ...] | None
    drop: tuple[str, ...]
    reserved: tuple[str, ...]
    """Columns of splits and groups."""

    @classmethod
    def of(
        cls,
        numeric: Sequence[str] | None,
        categorical: Sequence[str] | None,
        drop: Sequence[str],
        reserved: Sequence[str | None],
    ) -> "Declared":
        """Return what lists of names declare; a `reserved` name may be None, which is left out."""
        lists = [None if names is None else tuple(names) for names in (numeric, categorical)]
        return cls(lists[0], lists[1], tuple(drop), tuple(name for name in reserved if name))

    @property
    def listed(self) -> tuple[str, ...]:
        """Input columns whose kind is declared."""
        return (*(self.numeric or ()), *(self.categorical or ()))

    @property
    def nothing(self) -> bool:
        """True where no column is declared an input and no input is to be found by looking at cells."""
        return self.numeric == self.categorical == ()

    def check(self, targets: Mapping[str, Target]) -> None:
        """Check the declared columns against each other and against the targets.

        Raises:
            UserError: a column is an input twice, an input and dropped, or an input and a target.
        """
        problems = []
        answers = {column: target.name for target in targets.values() for column in target.labels}
        for column in dict.fromkeys(self.listed):
            if self.listed.count(column) > 1:
                problems.append(f"Column '{column}' is declared numeric and categorical, or twice. Declare it once.")
            if column in self.drop:
                problems.append(f"Column '{column}' is declared an input and in drop. Leave it out of one of them.")
            if column in answers:
                problems.append(
                    f"Column '{column}' is an input and the target '{answers[column]}': the answer would leak into the "
                    "question. Leave it out of numeric and categorical."
                )
        if problems:
            raise UserError(problems)

    def undeclared(self, columns: Sequence[str], targets: Mapping[str, Target]) -> list[str]:
        """Return the columns of a file that are inputs although they are not listed."""
        if self.numeric is not None and self.categorical is not None:
            return []
        taken = {*self.listed, *self.drop, *self.reserved}
        taken |= {column for target in targets.values() for column in (*target.columns, *target.beside)}
        return [column for column in columns if column not in taken]

    def looked_at(self, columns: Sequence[str], targets: Mapping[str, Target]) -> list[str]:
        """Return the columns of a file whose kind must be found out; a column declared numeric may be one of dates."""
        looked = {*self.undeclared(columns, targets), *(self.numeric or ())}
        return [column for column in columns if column in looked]


@dataclass(frozen=True)
class InputColumns:
    """Input columns that are numbers, dates and categories."""

    numbers: tuple[str, ...]
    dates: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every input column."""
        return (*self.numbers, *self.dates, *self.texts)

    @property
    def any(self) -> bool:
        """Return True where there is any column."""
        return bool(self.numbers or self.dates or self.texts)


def choose_inputs(declared: Declared, targets: Mapping[str, Target], file: TableFile, profile: Profile) -> InputColumns:
    """Return the input columns of a file.

    Raises:
        UserError: a column is missing, holds numbers and text, or cannot be an input by its type; or no input is left.
    """
    asked = [*declared.listed, *declared.drop, *declared.reserved]
    require_columns(
        [*asked, *(column for target in targets.values() for column in target.columns)], file.columns, file.path
    )
    dates = [name for name in declared.numeric or () if profile.columns[name].kind == "date"]
    numbers = [name for name in declared.numeric or () if name not in dates]
    texts = list(declared.categorical or ())
    problems: list[str] = []
    for name in declared.undeclared(file.columns, targets):
        column = profile.columns[name]
        if column.kind == "mixed":
            problems += column.mixed_error().problems
        elif column.kind in ("number", "date", "empty"):
            (dates if column.kind == "date" else numbers).append(name)
        elif column.kind == "text":
            texts.append(name)
        else:
            problems.append(f"{file.path}, column '{name}' holds {column.kind}, which is not an input: drop=[{name}].")
    if not numbers and not dates and not texts and not problems:
        problems.append(
            f"{file.path} has no input column: all are targets, texts, dropped or reserved. Declare some: numeric=[…]."
        )
    if problems:
        raise UserError(problems)
    return InputColumns(tuple(numbers), tuple(dates), tuple(texts))
