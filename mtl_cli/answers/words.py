"""The verdict in words: one sentence per setting, its rule, and what a terminal shows of it."""

import math
import textwrap
from collections.abc import Sequence

from mtl_cli.answers.comparison import BETTER, GAIN, NONE, SAME, UNKNOWN, WORSE, Answer, Comparison, Verdict
from mtl_cli.answers.inference import LEVEL, Estimate
from mtl_cli.answers.settings import primaries
from mtl_cli.report.tables import fitted, terminal_width

SHOWN = 8
"""Metrics of a setting that a terminal shows; the tables have all."""
MANY = 40
"""Metrics of all settings beyond which a terminal shows Δm only."""
MINUS = "−"
UNREPEATED = "One run of each setting does not tell differences from chance; seed=0,1,2 gives a verdict."
"""What is said in the place of a sentence per setting."""


def shown(value: float, scale: float | None = None, sign: bool = False) -> str:
    """Return a number with four digits after the point, fewer for large ones; `scale` says what counts as large."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    size = max(abs(value), abs(scale or 0))
    digits = 4 if size < 10 else 3 if size < 100 else 2 if size < 1000 else 1 if size < 1e5 else 0
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", MINUS)


def percent(value: float) -> str:
    """Return a Δm: two digits after the point, with its sign."""
    return "–" if math.isnan(value) else f"{value:+.2f}".replace("-", MINUS)


def spread(found: Estimate | None) -> str:
    """Return mean ± standard deviation."""
    if found is None:
        return ""
    return shown(found.mean) + (f" ± {shown(found.deviation, found.mean)}" if found.n > 1 else "")


def interval(found: Estimate | None, sign: bool = False) -> str:
    """Return a 95 % interval."""
    if found is None or found.n < 2:
        return ""
    low, high = found.interval()
    return f"[{shown(low, found.mean, sign)}, {shown(high, found.mean, sign)}]"


def change(each: Comparison) -> str:
    """Return a difference with its 95 % interval."""
    found = each.difference
    if found is None:
        return ""
    if each.metric == GAIN:
        low, high = found.interval()
        return f"{percent(found.mean)} %" + (f" [{percent(low)}, {percent(high)}]" if found.n > 1 else "")
    return f"{shown(found.mean, each.own.mean if each.own else None, True)} {interval(found, True)}".rstrip()


def verdict_of(each: Comparison) -> str:
    """Return "better", "worse", "no difference larger than x", or "cannot tell: run n more seeds"."""
    word, found = each.word, each.difference
    if word in (BETTER, WORSE, NONE) or found is None:
        return word
    if word == SAME:
        bound = f"{each.bound:.2f} %" if each.metric == GAIN else shown(each.bound)
        return f"no difference larger than {bound}"
    if found.n < 2:
        return f"cannot tell: run 2 more {each.repeats.over}"
    if each.repeats.over == "folds":
        return "cannot tell: folds differ too much"
    more = each.more
    return f"cannot tell: run {'over 1000' if more is None else more} more {'seed' if more == 1 else 'seeds'}"


def sentence(answer: Answer, over: str) -> str:
    """Return what is said of one setting."""
    name = answer.setting.name
    if answer.baseline is None:
        return f"{name} is the baseline."
    if answer.refused:
        return f"{name} is not compared with {answer.baseline.name}: {'; '.join(answer.refused[:3])}."
    total = answer.gain
    if total is None or total.difference is None:
        return f"{name} has no metric in common with {answer.baseline.name}."
    found, text = total.difference, verdict_of(total)
    if text in (BETTER, WORSE):
        text += f" than {answer.baseline.name}"
    else:
        text += f" (against {answer.baseline.name})"
    count = f"{found.n} {over if found.n > 1 else over[:-1]}"
    return f"{name}: {text}; {GAIN} {change(total)}, {count}."


def sentences(verdict: Verdict) -> list[tuple[Answer | None, str]]:
    """Return what is said of the settings, or once of all where each was run once and they can be compared."""
    said: list[tuple[Answer | None, str]] = [(answer, sentence(answer, verdict.over)) for answer in verdict.answers]
    if not verdict.unrepeated:
        return said
    return [*((answer, text) for answer, text in said if answer and answer.refused), (None, UNREPEATED)]


def rule(verdict: Verdict) -> str:
    """Return how a verdict is reached."""
    split = "test" if verdict.split == "test" else "validation"
    return " ".join([
        f"Settings are compared on {split} data with the baseline, run by run of the same seed and fold.",
        f"{GAIN} (Maninis et al., 2019) is the mean over tasks of the mean over their metrics of the relative gain",
        "over the baseline, in percent, higher is better.",
        f"Intervals are Student's at {100 * LEVEL:.0f} %; those of folds count that training sets overlap (Nadeau and",
        "Bengio, 2003).",
        f"“Better” and “worse” are said where a paired t test is significant at {100 - 100 * LEVEL:.0f} % after Holm's",
        f"correction for all {verdict.comparisons} comparisons, of which those of {GAIN} carry half of the weight.",
        "“No difference larger than x” is said where an interval that is corrected for all comparisons lies within",
        f"{verdict.margin:g} % of the baseline's value; else “cannot tell” names the seeds that would narrow it enough",
        "if the spread stays as it is.",
        "All runs are tested on the same rows: this is about training anew, not about other rows.",
    ])  # fmt: skip


def console_text(verdict: Verdict, width: int | None = None) -> str:
    """Return what a terminal shows: a sentence and the main metrics of each setting, within its width."""
    width = width or terminal_width()
    split = "test" if verdict.split == "test" else "validation"
    lines = (
        [f"means over {verdict.over} on {split} data"] if len(verdict.answers) == 1 else [f"verdict on {split} data"]
    )
    if verdict.unrepeated:
        table = fitted(_one_run_each(verdict), width, note="columns left out: {}; the tables of mtl-report have them")
    elif len(verdict.answers) == 1:
        rows = [["", "mean ± std", "95 % interval"], *(row[:3] for row in _rows_of(verdict.answers[0], True))]
        table = fitted(rows, width)
    elif sum(len(answer.metrics) for answer in verdict.answers) > MANY:
        rows = [["", f"{GAIN} [95 %]", "verdict"]]
        for answer in verdict.answers:
            rows.append([_headed(answer), *(_cells(answer.gain, False)[1:] if answer.gain else ["", ""])])
        table = fitted(rows, width, left=(0, 2))
    else:
        rows = [["", "mean ± std", "difference [95 %]", "verdict"]]
        rows += [row for answer in verdict.answers for row in _rows_of(answer, False)]
        table = fitted(rows, width, left=(0, 3))
        lines += [text for answer, text in sentences(verdict) if answer and not answer.is_baseline]
    lines += ["", *table.splitlines(), ""]
    lines += [text for _, text in sentences(verdict) if verdict.unrepeated]
    for answer in verdict.answers:
        lines += [f"{answer.setting.name}: {text}" for text in answer.marked]
    lines += [f"note: {note}" for note in verdict.notes]
    return "\n".join(part for line in lines for part in wrapped(line, width)).rstrip()


def _one_run_each(verdict: Verdict) -> list[list[str]]:
    """Return a row for each setting, best Δm first: Δm and one metric of each task, if there are not too many."""
    names = primaries([answer.setting for answer in verdict.answers])[:SHOWN]
    rows = []
    for answer in verdict.answers:
        own = {each.metric: spread(each.own) for each in answer.metrics}
        delta = answer.gain.difference.mean if answer.gain and answer.gain.difference else math.nan
        told = f"{percent(delta)} %" if not math.isnan(delta) else "baseline" if answer.is_baseline else "–"
        order = 0.0 if answer.is_baseline else -math.inf if math.isnan(delta) else delta
        rows.append((order, [answer.setting.name, told, *[own.get(name, "–") for name in names]]))
    return [["", GAIN, *names], *[row for _, row in sorted(rows, key=lambda row: -row[0])]]


def _headed(answer: Answer) -> str:
    return answer.setting.name + " (baseline)" * answer.is_baseline


def _rows_of(answer: Answer, single: bool) -> list[list[str]]:
    """Return the rows of a setting, which its name heads."""
    return [[answer.setting.name if single else _headed(answer), "", "", ""], *_rows(answer, single)]


def wrapped(line: str, width: int) -> Sequence[str]:
    """Return a line as lines that are at most `width` characters long, if no word such as a path is longer."""
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def _rows(answer: Answer, single: bool) -> list[list[str]]:
    """Return the rows of a setting: Δm, and the metrics with a verdict first if there are many."""
    decided = [each for each in answer.metrics if each.word in (BETTER, WORSE)]
    rest = [each for each in answer.metrics if each.word not in (BETTER, WORSE)]
    chosen = answer.metrics if len(answer.metrics) <= SHOWN else (decided + rest)[:SHOWN]
    every = [*([answer.gain] if answer.gain and answer.gain.difference else []), *chosen]
    rows = [[f"  {each.metric}", *_cells(each, single)] for each in every]
    if hidden := len(answer.metrics) - len(chosen):
        rows.append([f"  … {hidden} more in the tables", "", "", ""])
    return rows


def _cells(each: Comparison, single: bool) -> list[str]:
    return [spread(each.own), interval(each.own) if single else change(each), _brief(each)]


def _brief(each: Comparison) -> str:
    """Return a verdict in a few letters: "cannot tell, +3 seeds"."""
    if each.word == SAME:
        return verdict_of(each).replace("no difference larger than", "no difference >")
    if each.word == UNKNOWN and each.difference and each.difference.n > 1 and each.repeats.over == "seeds":
        return f"cannot tell, +{'1000' if each.more is None else each.more} seeds"
    return verdict_of(each)
