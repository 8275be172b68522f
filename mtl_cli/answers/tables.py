"""The tables of a report, each as CSV, Markdown and LaTeX."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.answers.comparison import GAIN, Answer, Comparison, Verdict
from mtl_cli.answers.runs import COSTS
from mtl_cli.answers.words import change, interval, rule, shown, spread, verdict_of
from mtl_cli.files import write_text
from mtl_cli.report.tables import count, duration

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "Δ": r"$\Delta$", "–": "--",
    "∞": r"$\infty$", "…": r"\dots{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table for people, and the same facts as plain numbers for programs."""

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    plain_head: tuple[str, ...]
    plain: tuple[tuple[object, ...], ...]

    def csv(self) -> str:
        """Return the plain numbers."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.plain_head)
        writer.writerows([["" if _is_nan(cell) else cell for cell in row] for row in self.plain])
        return out.getvalue()

    def markdown(self) -> str:
        """Return the table for people as Markdown."""
        rows = [self.head, tuple("---" for _ in self.head), *self.rows]
        lines = [f"| {' | '.join(_markdown(cell) for cell in row)} |" for row in rows]
        return "\n".join([*lines, "", self.caption, ""])

    def latex(self) -> str:
        """Return the table for people as LaTeX, for the package booktabs."""
        body = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in self.rows]
        return "\n".join([
            r"\begin{tabular}{" + "l" * len(self.head) + "}", r"\toprule",
            " & ".join(_latex(cell) for cell in self.head) + r" \\", r"\midrule", *body, r"\bottomrule",
            r"\end{tabular}", *(f"% {line}" for line in self.caption.splitlines()), "",
        ])  # fmt: skip


def verdict_table(verdict: Verdict) -> Table:
    """Return one row per setting and metric, and one per Δm."""
    head = ("setting", "metric", "mean ± std", "95 % interval", "difference [95 %]", "verdict", "n")
    plain_head = (
        "setting", "baseline", "metric", "better", "n", "mean", "std", "low", "high", "difference", "difference_low",
        "difference_high", "adjusted_p", "verdict", "remarks",
    )  # fmt: skip
    rows, plain = [], []
    for answer in verdict.answers:
        for each in [*([answer.gain] if answer.gain else []), *answer.metrics]:
            label = verdict_of(each) or ("baseline" if answer.is_baseline else "not compared" if answer.refused else "")
            found = each.own or each.difference
            n = str(found.n) if found else ""
            metric = each.metric + (" ↓" if each.lower else "")
            rows.append((answer.setting.name, metric, spread(each.own), interval(each.own), change(each), label, n))
            plain.append(_plain(answer, each, label))
    return Table("verdict", rule(verdict), head, tuple(rows), plain_head, tuple(plain))


def _plain(answer: Answer, each: Comparison, label: str) -> tuple[object, ...]:
    own, diff, nan = each.own, each.difference, math.nan
    found = own or diff
    return (
        answer.setting.name,
        answer.baseline.name if answer.baseline else "",
        each.metric,
        "lower" if each.lower else "higher",
        found.n if found else 0,
        *((own.mean, own.deviation, *own.interval()) if own else (nan,) * 4),
        *((diff.mean, *diff.interval()) if diff else (nan,) * 3),
        each.adjusted if diff else nan,
        label,
        "; ".join([*answer.refused, *answer.marked]),
    )


def settings_table(verdict: Verdict) -> Table:
    """Return one row per setting: Δm, verdict and costs."""
    head = ("setting", "runs", f"{GAIN} [95 %]", "verdict", *COSTS.values(), "remarks")
    rows, plain = [], []
    for answer in verdict.answers:
        label = "baseline" if answer.is_baseline else verdict_of(answer.gain) if answer.gain else "not compared"
        delta = change(answer.gain) if answer.gain else ""
        remarks = "; ".join([*answer.refused, *answer.marked])
        name, runs, costs = answer.setting.name, len(answer.setting.runs), answer.costs
        cells = [_cost(key, costs[key]) for key in COSTS]
        rows.append((name, str(runs), delta, label, *cells, remarks))
        mean = answer.gain.difference.mean if answer.gain and answer.gain.difference else math.nan
        plain.append((name, runs, mean, label, *(costs[key] for key in COSTS), remarks))
    caption = "Costs are means over the runs; FLOPs are those of a forward pass of one sample, for all tasks."
    plain_head = ("setting", "runs", "delta_m_percent", "verdict", *COSTS, "remarks")
    return Table("settings", caption, head, tuple(rows), plain_head, tuple(plain))


def runs_table(verdict: Verdict) -> Table:
    """Return one row per run with every metric on the split of the verdict."""
    found = [(answer.setting, run) for answer in verdict.answers for run in answer.setting.runs.values()]
    names = list(dict.fromkeys(name for _, run in found for name in getattr(run, verdict.split)))
    head = ("setting", "seed", "fold", *names, "seconds", "directory")
    rows, plain = [], []
    for setting, run in found:
        values, fold = getattr(run, verdict.split), "" if run.unit.fold is None else run.unit.fold
        seconds, own = run.costs["seconds"], [values.get(name, math.nan) for name in names]
        start = (setting.name, str(run.unit.seed), str(fold))
        rows.append((*start, *map(shown, own), _cost("seconds", seconds), str(run.path)))
        plain.append((*start, *own, seconds, str(run.path)))
    caption = f"Metrics on {'test' if verdict.split == 'test' else 'validation'} data."
    return Table("runs", caption, head, tuple(rows), head, tuple(plain))


def write_tables(verdict: Verdict, folder: Path) -> list[Path]:
    """Write every table in three formats; return the files.

    Raises:
        RunFailure: a file cannot be written.
    """
    files = []
    for table in (verdict_table(verdict), settings_table(verdict), runs_table(verdict)):
        for ending, text in (("csv", table.csv()), ("md", table.markdown()), ("tex", table.latex())):
            files.append(folder / f"{table.name}.{ending}")
            write_text(files[-1], text)
    return files


def _cost(key: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return duration(value) if key == "seconds" else count(value)


def _markdown(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text.replace("\n", " "))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text.replace("\n", " "))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
