"""The verdict: each setting against its baseline, per metric and as Δm, with a rule that counts its comparisons."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mtl_cli.answers.baseline import Baseline, Candidates, candidates
from mtl_cli.answers.comparable import marks, mixed_data, refusals
from mtl_cli.answers.comparison import GAIN, MARGIN, Answer, Comparison, Verdict
from mtl_cli.answers.gain import Paired, gain
from mtl_cli.answers.inference import (
    LEVEL,
    Unit,
    by_repeat,
    estimate,
    grain_of,
    holm,
    repeats_of,
)
from mtl_cli.answers.runs import COSTS, Run, metric_names
from mtl_cli.answers.settings import Setting, settings_of
from mtl_cli.errors import UserError, some


def judge(runs: Sequence[Run], baseline: str | None = None, margin: float = MARGIN) -> Verdict:
    """Return the verdict on runs, on test data where all of them have some, else on validation data.

    Raises:
        UserError: no run is complete, or the baseline is not among them.
    """
    settings, notes = settings_of(runs)
    if not settings:
        raise UserError(["None of the runs is complete, so there is nothing to compare.", *notes[:5]])
    chosen = candidates(settings, baseline)
    parts = {id(part): part for each in chosen.found for part in each.parts}
    outside = [part for part in parts.values() if all(part is not setting for setting in settings)]
    every = [run for setting in (*settings, *outside) for run in setting.runs.values()]
    split = "test" if all(metric_names(run, "test") for run in every) else "val"
    if split == "val":
        notes.append("Some runs have no test metrics: everything is on validation data, which has chosen checkpoints.")
    if len(settings) > 1 and chosen.note:
        notes.append(chosen.note)
    if not all(run.data and all(facts.rows for facts in run.data.values()) for run in every):
        notes.append("Runs of older versions do not say what data they read; it is assumed to be the same.")
    answers = [_answer(setting, chosen, split, margin, notes) for setting in settings]
    answers = corrected(answers)
    overs = {each.repeats.over for answer in answers for each in answer.metrics}
    count = len([each for answer in answers for each in _tested(answer)])
    over = "folds" if "folds" in overs else "seeds"
    return Verdict(split, over, chosen.name, tuple(answers), tuple(dict.fromkeys(notes)), margin, count)


def _answer(setting: Setting, chosen: Candidates, split: str, margin: float, notes: list[str]) -> Answer:
    base = chosen.of(setting)
    repeats = repeats_of(list(setting.runs), setting.folds)
    lower = set().union(*(run.lower for run in setting.runs.values()))
    names = list(dict.fromkeys(name for run in setting.runs.values() for name in metric_names(run, split)))
    notes += _lacking(setting, names, split)
    own = {name: estimate(by_repeat(setting.measured(name, split), repeats), repeats) for name in names}
    plain = tuple(Comparison(name, name in lower, own[name], repeats=repeats) for name in names)
    costs = {key: _mean([run.costs.get(key, math.nan) for run in setting.runs.values()]) for key in COSTS}
    if base.holds(setting):
        return Answer(setting, None, None, plain, costs)
    units = [unit for unit in setting.runs if any(unit in part.runs for part in base.parts)]
    refused = _refusals(setting, base, units)
    if refused:
        return Answer(setting, base, None, plain, costs, refused)
    pairs = {pair.metric: pair for pair in _pairs(setting, base, names, lower, split)}
    found = tuple(_compared(each, pairs.get(each.metric), margin) for each in plain)
    delta = gain(list(pairs.values()))
    difference = estimate(by_repeat(delta.values, repeats), repeats, delta.grain) if delta.values else None
    total = Comparison(GAIN, False, None, difference, repeats, margin)
    marked = list(_both(setting, base, units, marks))
    if unpaired := len(setting.runs) - len(units):
        marked.append(f"{unpaired} of {len(setting.runs)} runs have no partner of the same seed and fold")
    if absent := [task for task in setting.tasks if all(pair.task != task for pair in pairs.values())]:
        marked.append(f"the baseline does not have {some(absent)}")
    if delta.left_out:
        marked.append(f"{GAIN} leaves out {some(delta.left_out)}, where the baseline is 0")
    if delta.inflated:
        marked.append(
            f"{GAIN} counts {some(delta.inflated)}, where the baseline lies around 0 and relative gains are arbitrary: "
            "choose others by '+tasks.NAME.metrics=[…]'"
        )
    return Answer(setting, base, total, found, costs, (), tuple(marked))


def _compared(each: Comparison, pair: Paired | None, margin: float) -> Comparison:
    if pair is None:
        return each
    difference = estimate(by_repeat(pair.differences, each.repeats), each.repeats, pair.grain)
    return replace(each, difference=difference, margin=margin / 100 * pair.scale)


def _lacking(setting: Setting, names: Sequence[str], split: str) -> Iterator[str]:
    """Yield the metrics that some runs of a setting lack, in words."""
    for name in names:
        have = setting.measured(name, split)
        lack = [run.path for unit, run in setting.runs.items() if unit not in have]
        if lack:
            yield f"{setting.name}: {len(lack)} of {len(setting.runs)} runs lack {name}, such as {lack[0]}."


def _pairs(setting: Setting, base: Baseline, names: Sequence[str], lower: set[str], split: str) -> list[Paired]:
    """Return the metrics that a setting and its baseline have in common.

    Where all values of all runs are equal, losses included, chance plays no part, and so the grain is 0.
    """
    found = []
    partners = [(run, base.run(unit, task)) for unit, run in setting.runs.items() for task in setting.tasks]
    exact = all(other is not None and getattr(run, split) == getattr(other, split) for run, other in partners)
    for name in names:
        own, other = setting.measured(name, split), base.measured(name, split)
        units = [unit for unit in own if unit in other]
        if units:
            grain = 0.0 if exact else math.sqrt(2) * grain_of([*own.values(), *other.values()])
            mine, theirs = ({unit: each[unit] for unit in units} for each in (own, other))
            found.append(Paired(name, name in lower, mine, theirs, grain))
    return found


def _refusals(setting: Setting, base: Baseline, units: Sequence[Unit]) -> tuple[str, ...]:
    if not units:
        return ("no run of the baseline has one of its seeds and folds",)
    mixed = [text for each in (setting, *base.parts) if (text := mixed_data(each))]
    return (*mixed, *_both(setting, base, units, refusals))


def _both(setting: Setting, base: Baseline, units: Sequence[Unit], look: object) -> tuple[str, ...]:
    assert callable(look)
    found: dict[str, None] = {}
    for unit in units:
        partners = {id(run): run for task in setting.tasks if (run := base.run(unit, task)) is not None}
        for partner in partners.values():
            found |= dict.fromkeys(look(setting.runs[unit], partner))
    return tuple(found)


def corrected(answers: Sequence[Answer]) -> list[Answer]:
    """Return answers whose p-values are corrected for all comparisons: those of Δm carry half of the weight."""
    tested = [(number, each) for number, answer in enumerate(answers) for each in _tested(answer)]
    totals = sum(each.metric == GAIN for _, each in tested)
    counts = {True: totals, False: len(tested) - totals}
    share = 0.5 if all(counts.values()) else 1.0
    weights = [share / counts[each.metric == GAIN] for _, each in tested]
    adjusted = holm([_p_value(each) for _, each in tested], weights)
    new = {
        (number, each.metric): replace(each, adjusted=p, level=1 - (1 - LEVEL) * weight)
        for (number, each), p, weight in zip(tested, adjusted, weights, strict=True)
    }
    return [
        replace(
            answer,
            gain=new.get((number, GAIN), answer.gain),
            metrics=tuple(new.get((number, each.metric), each) for each in answer.metrics),
        )
        for number, answer in enumerate(answers)
    ]


def _tested(answer: Answer) -> list[Comparison]:
    every = [*([answer.gain] if answer.gain else []), *answer.metrics]
    return [each for each in every if each.difference is not None and each.difference.n > 1]


def _p_value(each: Comparison) -> float:
    assert each.difference is not None
    return each.difference.p_value


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
