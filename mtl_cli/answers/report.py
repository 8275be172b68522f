"""Judging runs and writing what is found: the verdict on the console, tables, figures and one page."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mtl_cli.answers.comparison import Verdict
from mtl_cli.answers.runs import find_runs
from mtl_cli.answers.searches import read_search
from mtl_cli.answers.tables import write_tables
from mtl_cli.answers.verdict import judge
from mtl_cli.answers.words import console_text, wrapped
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import make_folder, write_text
from mtl_cli.report.tables import terminal_width

logger = logging.getLogger("mtl_cli")


def write(paths: Sequence[Path], baseline: str | None, output: Path, margin: float) -> Verdict:
    """Judge the runs in some directories, print the verdict, and write the report.

    Runs of a search are compared with its winner, unless a baseline is named. The run of the winner on training and
    validation rows is not a trial, and is left out.

    Raises:
        UserError: there is no run, they cannot be compared, or the output cannot be written.
    """
    searches = [found for path in paths if (found := read_search(path)) is not None]
    if baseline is None and searches and searches[0].run.is_dir():
        baseline = str(searches[0].run)
    named = {path.resolve() for path in paths}
    again = {search.retrained.resolve() for search in searches if search.retrained} - named
    verdict = judge([run for run in find_runs(paths) if run.path.resolve() not in again], baseline, margin)
    width = terminal_width()
    for search in searches:
        logger.warning("%s\n", "\n".join(wrapped(search.sentence(), width)))
    logger.warning("%s", console_text(verdict, width))
    try:
        make_folder(output)
        files = write_tables(verdict, output)
        from mtl_cli.answers.figures import figures_of, write_figures
        from mtl_cli.answers.page import file_name, page

        figures = write_figures(figures_of(verdict, searches), output / "figures")
        write_text(file_name(output), page(verdict, figures, searches))
    except RunFailure as error:
        raise UserError(f"{error} Name another folder by output=DIR.") from error
    names = ", ".join(dict.fromkeys(path.stem for path in files))
    told = f"Written to {output}: report.html, tables ({names} as csv, md, tex), figures/"
    logger.info("%s", "\n".join(wrapped(told, width)))
    return verdict
