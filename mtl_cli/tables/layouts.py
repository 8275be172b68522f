"""How the columns of a dataset's files are read, by what inputs, targets and splits need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.errors import UserError
from mtl_cli.tables.columns import InputColumns
from mtl_cli.tables.labels import Target
from mtl_cli.tables.profile import Profile
from mtl_cli.tables.reading import TableFile, require_columns
from mtl_cli.tables.split_rules import SplitRules
from mtl_cli.tables.store import Layout


@dataclass(frozen=True)
class LayoutPlan:
    """What a dataset needs of its files.

    `others` are further columns that a file must have. With a `loaded` state a file may lack columns of targets.
    """

    rules: SplitRules
    targets: Mapping[str, Target]
    chosen: InputColumns
    others: Sequence[str]
    loaded: bool

    def of_main(self, file: TableFile, profile: Profile, divided: bool) -> Layout:
        """Return how the columns of the main file are read, also those that say how it is `divided`.

        Raises:
            UserError: it lacks one, or rows cannot be divided by one.
        """
        labels = [each for each in self.targets.values() if self._needs(each, file)]
        dividing = self.rules.columns({each.name: each for each in labels}) if divided else []
        times = self.rules.times if divided else ()
        answers = [column for each in labels for column in (*each.columns, *self._beside(each, file))]
        require_columns([*self.others, *dividing, *times, *answers], file.columns, file.path)
        dates = tuple(name for name in times if time_kind(file, profile, name) == "date")
        times = tuple(name for name in times if name not in dates)
        numbered = [column for each in labels for column in (*each.numbers, *self._beside(each, file))]
        numbers = (*self.chosen.numbers, *numbered, *times)
        exact = {*numbered, *times, *dates}
        texts = (*self.chosen.texts, *dividing, *(column for each in labels for column in each.texts))
        missing = {c: words for each in labels for c in each.labels if (words := each.missing_in(c))}
        inputs = (*self.chosen.numbers, *self.chosen.dates)
        return Layout(
            numbers=tuple(dict.fromkeys(numbers)),
            dates=tuple(dict.fromkeys((*self.chosen.dates, *dates))),
            texts=tuple(dict.fromkeys(texts)),
            missing=missing,
            rounded=tuple(name for name in inputs if name not in exact),
        )

    def of_other(self, file: TableFile, main: Layout) -> Layout:
        """Return how the file of another split is read: like the main one, except for columns that it may lack.

        Raises:
            UserError: it lacks one that it may not.
        """
        answers = {column for target in self.targets.values() for column in (*target.columns, *target.beside)}
        optional = {*self.rules.reserved, self.rules.strata(self.targets)} - answers - set(self.chosen.columns)
        optional |= answers if self.loaded else set()
        wanted = {name for name in main.columns if name in file.columns or name not in optional}
        require_columns([*self.others, *sorted(wanted)], file.columns, file.path)

        def kept(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if name in wanted)

        missing = {name: values for name, values in main.missing.items() if name in wanted}
        return Layout(kept(main.numbers), kept(main.dates), kept(main.texts), missing, rounded=kept(main.rounded))

    def _beside(self, target: Target, file: TableFile) -> tuple[str, ...]:
        """Return the columns of a target's weights that are read."""
        return tuple(name for name in target.beside if not self.loaded or name in file.columns)

    def _needs(self, target: Target, file: TableFile) -> bool:
        """Return True for a target that is read from a file."""
        return not self.loaded or set(target.columns) <= set(file.columns)


def time_kind(file: TableFile, profile: Profile, name: str) -> str:
    """Return whether a column that rows are divided by holds numbers or dates.

    Raises:
        UserError: it holds neither.
    """
    column = profile.columns[name]
    if column.kind not in ("number", "date"):
        raise UserError(
            f"{file.path}, column '{name}' is time_column and holds neither numbers nor dates alone, but "
            f"{column.kind}. A date is like 2024-01-31 or 2024-01-31 18:30."
        )
    return column.kind
