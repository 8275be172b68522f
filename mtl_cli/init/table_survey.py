"""What mtl-init found in a table, and its lines of YAML and of the report."""

from dataclasses import dataclass
from typing import ClassVar

from mtl_cli.init.found_targets import association_sections
from mtl_cli.init.proposals import table_choices, table_training, told
from mtl_cli.init.row_survey import RowSurvey, reading_lines
from mtl_cli.init.yaml_files import Section, Training, comment, entry, flow, some


@dataclass(frozen=True)
class TableSurvey(RowSurvey):
    """A table: all columns but targets, those that divide rows and those left out are inputs."""

    dataset: ClassVar[str] = "tabular"

    def option_lines(self) -> list[str]:
        """Return how the file is read, what becomes of its columns, and how its rows are divided."""
        inputs = self.found.inputs
        lines = reading_lines(self.found.file)
        if inputs.categorical:
            lines.append("categorical:  # beside columns of text, which are found by looking")
            lines += [f"  - {flow(name)}  {comment(reason)}" for name, reason in inputs.categorical.items()]
        targets = list(dict.fromkeys(name for guess in self.found.targets for name in guess.names))
        lines += ["drop:", *(f"  - {flow(name)}  {comment(reason)}" for name, reason in inputs.drop.items())]
        lines += ["  # targets, also those of tasks that are not chosen", *(f"  - {flow(name)}" for name in targets)]
        lines.append(entry("scale", "quantile", "by rank, so that long tails and outliers do no harm"))
        return [*lines, *self.dividing_lines()]

    def report(self) -> list[Section]:
        """Return what deserves a look, targets, inputs, what was chosen and how the targets hang together."""
        inputs = Section("Inputs", self._input_lines())
        chosen = Section("Chosen for them", told(table_choices(self.found.profile.rows)))
        return [*self.first_sections(), inputs, chosen, *association_sections(self.found.targets)]

    def training(self) -> Training:
        """Return the backbone and how it is trained."""
        return table_training(self.found.profile.rows)

    def _input_lines(self) -> list[str]:
        """Return what becomes of the columns that are not targets, by kind."""
        inputs, found = self.found.inputs, self.found
        others = {name for guess in found.targets for name in guess.names} | {*found.dividing, *inputs.drop}
        kinds: dict[str, list[str]] = {}
        for name, column in found.profile.columns.items():
            if name not in others:
                kind = "text" if name in inputs.categorical else column.kind
                kinds.setdefault({"empty": "number"}.get(kind, kind), []).append(name)
        words = {"number": "numeric", "date": "dates (days since 1970)", "text": "categorical"}
        lines = [f"{words[kind]}: {some(kinds[kind])}" for kind in words if kind in kinds]
        lines += [f"{name} is categorical: {reason}" for name, reason in inputs.categorical.items()]
        return lines + [f"drop {name}: {reason}" for name, reason in inputs.drop.items()]
