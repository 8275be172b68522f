"""A search: trials that are proposed one after the other, each of them a run of its own, and the one that wins."""

import logging
from dataclasses import replace

from mtl_cli.answers.searches import FILE
from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.compose import hydra_session
from mtl_cli.commands.console import console_of
from mtl_cli.commands.search.candidates import Candidate
from mtl_cli.commands.search.ledger import Ledger, Taken
from mtl_cli.commands.search.options import (
    is_search_word,
    read_options,
)
from mtl_cli.commands.search.plan import Search, check, plan, runs_at
from mtl_cli.commands.search.result import report
from mtl_cli.commands.search.trial import fail, title
from mtl_cli.commands.search.workers import working
from mtl_cli.commands.sweeps.job import attempt
from mtl_cli.commands.sweeps.progress import Progress
from mtl_cli.commands.sweeps.sweep import compose_jobs
from mtl_cli.errors import Interrupted, RunFailure, UserError
from mtl_cli.files import read_json, write_json

logger = logging.getLogger("mtl_cli")
RETRAIN = ("data.train_on=train+val", "selection.metric=last", "early_stopping.metric=null")
"""What a run of the winner on training and validation rows has in the place of a selection."""


def run_search(line: CommandLine) -> int:
    """Run the search of a command line; return the exit code.

    Raises:
        UserError: what is wrong with the command, before the first trial; nothing was made.
        Interrupted, KeyboardInterrupt: the search was stopped; the same command continues it.
    """
    options = read_options(line.overrides)
    with hydra_session(line.config_dir, line.config_name) as session:
        search = plan(session, [text for text in line.overrides if not is_search_word(text)], options)
    first = search.examples[0].config
    with console_of(first):
        check(search, line.folders)
        ledger = search.ledger()
        try:
            with working(line, options.workers):
                work(search, ledger, line)
        except (KeyboardInterrupt, Interrupted):
            logger.warning("The search was stopped. The same command continues it.")
            raise
        code, winner = report(search.directory, ledger.entries, search.space, options)
        if winner is not None and options.retrain:
            retrain(search, winner, line)
    return code


def work(search: Search, ledger: Ledger, line: CommandLine) -> None:
    """Work at trials until all are taken."""
    progress = None
    while True:
        with ledger.take(search.space.coordinates, search.trials) as taken:
            if taken is None:
                return
            progress = progress or Progress(search.trials, taken.number)
            progress.ended = max(0, taken.number - progress.complete)  # by all processes
            what = title(search.space.values(taken.point))
            logger.info("\nTrial %d of %d%s: %s", taken.number + 1, search.trials, progress.left(), what)
            one(search, taken, line)


def one(search: Search, taken: Taken, line: CommandLine) -> None:
    """Work at one trial to its end."""
    try:
        trial = search.trial(taken.point, line)
    except UserError as error:
        fail(taken, search.space.values(taken.point), " ".join(error.problems))
        return
    taken.runs({str(job.directory.relative_to(search.directory)): job.swept for job in trial.jobs})
    trial.work(taken, line)


def retrain(search: Search, winner: Candidate, line: CommandLine) -> None:
    """Train the winner on training and validation rows, and test it.

    Raises:
        RunFailure: the run failed.
    """
    [(overrides, swept)] = runs_at(search.space, winner.values, None)
    kept = [text for text in overrides if not text.startswith(("selection.metric=", "early_stopping.metric="))]
    with hydra_session(line.config_dir, line.config_name) as session:
        [job], _ = compose_jobs(session, [([*kept, *RETRAIN], swept)])
    job = replace(job, directory=search.directory / job.directory)
    if job.completed:
        logger.warning("The winner is trained on training and validation rows already: %s", job.directory)
    else:
        logger.info("\nThe winner, on training and validation rows: %s", title(winner.values))
        if failure := attempt(job, line.command, line.folders):
            raise RunFailure(f"The winner could not be trained on training and validation rows: {failure}")
    found = read_json(search.directory / FILE)
    write_json(search.directory / FILE, {**found, "retrained": str(job.directory.relative_to(search.directory))})
    logger.warning("The model of the winner on training and validation rows is in %s", job.directory)
