"""A sweep: every combination of the values given, one run each, found again by the same command."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.compose import Session, hydra_session
from mtl_cli.commands.composed_run import ComposedRun, compose_run, hydra_value, makeable
from mtl_cli.commands.console import console_of, results_of_runs
from mtl_cli.commands.overrides import parse
from mtl_cli.commands.sweeps.job import SweepJob, attempt
from mtl_cli.commands.sweeps.launch import run_elsewhere
from mtl_cli.commands.sweeps.progress import Progress
from mtl_cli.commands.sweeps.table import ELSEWHERE, SweepRow, report
from mtl_cli.config.run_config import config_hash
from mtl_cli.config.schema import CONSOLE
from mtl_cli.errors import EXIT_DONE, EXIT_FAILURE, Interrupted, UserError
from mtl_cli.files import read_json

logger = logging.getLogger("mtl_cli")
MAX_JOBS = 10_000
"""Jobs in a sweep; more of them are a typing error."""
MANY_PROBLEMS = 20
"""Problems after which no further job is looked at."""


@dataclass(frozen=True)
class Sweep:
    """The jobs of one command, and where they run."""

    directory: Path
    jobs: tuple[SweepJob, ...]
    launcher: str
    composed: DictConfig
    """The config of the first job with Hydra's own node, which all jobs have in common."""

    def report(self, failures: Mapping[str, str]) -> list[SweepRow]:
        """Write summary.csv, print the tables, and return the rows of all jobs, best first."""
        return report(self.directory, [job.row(failures.get(job.name, "")) for job in self.jobs])


def run_sweep(line: CommandLine) -> int:
    """Run the sweep of a command line; return the exit code.

    Raises:
        UserError: the problems of all jobs, before the first one starts; nothing was made.
        Interrupted, KeyboardInterrupt: the sweep was stopped; the same command continues it.
    """
    with hydra_session(line.config_dir, line.config_name) as session:
        sweep = plan(session, line.overrides)
    first = sweep.jobs[0].config
    with console_of(first):
        check(sweep, line.folders)
        failures: dict[str, str] = {}
        try:
            if sweep.launcher == "basic":
                run_here(sweep, line, failures)
            else:
                run_elsewhere(sweep.directory, sweep.jobs, line, sweep.composed, failures)
        except (KeyboardInterrupt, Interrupted):
            sweep.report(failures)
            logger.warning("The sweep was stopped. The same command continues it.")
            raise
        rows = sweep.report(failures)
        tell_verdict(sweep)
    return EXIT_DONE if all(item.status == "completed" for item in rows) else EXIT_FAILURE


def tell_verdict(sweep: Sweep) -> None:
    """Print what the complete jobs say together, where there are two at least."""
    from mtl_cli.answers.runs import read_run
    from mtl_cli.answers.verdict import judge
    from mtl_cli.answers.words import UNREPEATED, console_text

    complete = [job.directory for job in sweep.jobs if job.completed]
    if len(complete) < 2:
        return
    try:
        verdict = judge([read_run(folder) for folder in complete])
    except UserError as error:
        logger.warning("There is no verdict on the sweep: %s", error)
        return
    if verdict.unrepeated:
        logger.info("\n%s", UNREPEATED)
        return
    logger.warning("\n%s", console_text(verdict))
    logger.info("mtl-report %s writes this with tables and figures.", sweep.directory)


def plan(session: Session, overrides: Sequence[str]) -> Sweep:
    """Return the sweep that overrides describe, every job composed and checked.

    Raises:
        UserError: the problems of all jobs.
    """
    jobs, first = compose_jobs(session, combinations(session, overrides))
    given = {text.lstrip("+").partition("=")[0] for text in overrides}
    params = first.hydra.sweeper.get("params") or {}
    if added := [f"{key}={value}" for key, value in params.items() if str(key) not in given]:
        overrides = [*added, *overrides]
        jobs, first = compose_jobs(session, combinations(session, overrides))
    if not str(first.hydra.sweeper.get("_target_")).endswith(".BasicSweeper"):
        raise UserError("hydra/sweeper is changed; sweeps here run every combination. Use hydra/sweeper=basic.")
    identity = config_hash({"sweep": sweep_words(overrides, str(first.hydra.runtime.choices.get("task")))})
    directory = Path(hydra_value(first, "hydra.sweep.dir").replace("{sweep}", identity))
    placed = tuple(replace(job, directory=directory / job.directory) for job in jobs)
    return Sweep(directory, placed, str(first.hydra.runtime.choices["hydra/launcher"]), first)


def sweep_words(overrides: Sequence[str], task: str) -> list[str]:
    """Return what identifies a sweep: its overrides in any order, but for those of Hydra and the console."""
    keys = [text.lstrip("+~").partition("=")[0] for text in overrides]
    words = [
        text
        for text, key in zip(overrides, keys, strict=True)
        if not key.startswith(("hydra.", "hydra/")) and key not in CONSOLE
    ]
    return sorted([*words, *([] if "task" in keys else [f"task={task}"])])


def combinations(session: Session, overrides: Sequence[str]) -> list[tuple[list[str], dict[str, str]]]:
    """Return the overrides of every job, with those that are swept by key.

    An override whose syntax is wrong is kept as it is: composing reports it with all others.
    """
    choices: list[list[tuple[str, str, str]]] = []
    for text in overrides:
        try:
            override = parse(text, session.loader)
        except UserError:
            choices.append([(text, "", "")])
            continue
        if override.is_sweep_override() and override.is_discrete_sweep():
            key = override.get_key_element()
            values = list(itertools.islice(override.sweep_string_iterator(), MAX_JOBS + 1))
            choices.append([(f"{key}={value}", key.lstrip("+"), value) for value in values])
        elif override.is_sweep_override():
            raise UserError(
                f"{text} is not a list of values. Sweeps take a,b,c, choice(...), range(...) or glob(...); a search "
                "takes intervals too: search=tpe."
            )
        else:
            choices.append([(text, "", "")])
    number = 1
    for options in choices:
        number *= len(options)
    if not 1 <= number <= MAX_JOBS:
        raise UserError(f"The sweep has {number or 'no'} jobs; it can have 1 to {MAX_JOBS}. Give fewer values.")
    return [
        ([text for text, _, _ in job], {key: value for _, key, value in job if key})
        for job in itertools.product(*choices)
    ]


def compose_jobs(
    session: Session, wanted: Sequence[tuple[list[str], dict[str, str]]]
) -> tuple[list[SweepJob], DictConfig]:
    """Return the jobs, checked, with directories relative to the sweep's; and the first one's composed config.

    Raises:
        UserError: the problems of all jobs.
    """
    found: dict[str, SweepJob] = {}
    problems: list[str] = []
    first = None
    for overrides, swept in wanted:
        try:
            job = compose_run(session, overrides)
            name = config_hash(job.config)
            if name in found:
                raise UserError(f"Two jobs of the sweep are the same: {' '.join(overrides)}. Give each value once.")
            found[name] = SweepJob(name, job.config, Path(subdirectory(job, name)), job.overrides, swept)
            first = first or job.composed
        except UserError as error:
            problems += error.problems
            if len(set(problems)) > MANY_PROBLEMS:
                break
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    assert first is not None
    return list(found.values()), first


def subdirectory(job: ComposedRun, name: str) -> str:
    """Return the directory of a job below that of its sweep.

    Raises:
        UserError: it is not named by the job's hash, so that it could be another job's, or no run at all.
    """
    text = hydra_value(job.composed, "hydra.sweep.subdir")
    if Path(text).name != "{job}":
        raise UserError(f"hydra.sweep.subdir is '{text}'; its last part must be {{job}}. Leave it out.")
    return text.replace("{job}", name)


def check(sweep: Sweep, folders: Sequence[Path]) -> None:
    """Check all jobs against the signatures of their components, and their directories.

    Raises:
        UserError: the problems of all jobs.
    """
    from mtl_cli.runs import run

    problems: list[str] = []
    for job in sweep.jobs:
        makeable(job.directory, "hydra.sweep.dir")
        status = read_json(job.directory / "status.json")
        if status.get("status") == "completed" and not job.completed:
            problems.append(f"{job.directory} holds a complete run of another config. Move it away.")
        if job.completed:
            continue
        try:
            run.check(job.config, folders)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(list(dict.fromkeys(problems)))


def run_here(sweep: Sweep, line: CommandLine, failures: dict[str, str]) -> None:
    """Run the jobs one after another in this process, noting failures by name; one that fails stops no other."""
    quiet = sweep.jobs[0].config["quiet"]
    progress = Progress(len(sweep.jobs), sum(job.completed for job in sweep.jobs))
    for index, job in enumerate(sweep.jobs, start=1):
        if job.completed:
            logger.info("Job %d of %d, %s: complete already.", index, len(sweep.jobs), job.title)
            continue
        logger.info("\nJob %d of %d%s: %s", index, len(sweep.jobs), progress.left(), job.title)
        with results_of_runs(shown=not quiet):
            failure = attempt(job, line.command, line.folders)
        progress.ended += 1
        if failure:
            failures[job.name] = failure
            what = failure if failure == ELSEWHERE else f"failed: {failure}"
            logger.warning("Job %d of %d, %s, %s", index, len(sweep.jobs), job.title, what)
