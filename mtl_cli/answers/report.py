"""Judging runs and writing what is found: the verdict on the console, tables, figures and one page."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mtl_cli.answers.runs import find_runs
from mtl_cli.answers.tables import write_tables
from mtl_cli.answers.verdict import Verdict, judge
from mtl_cli.answers.words import console_text
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import make_folder, write_text

logger = logging.getLogger("mtl_cli")


def write(paths: Sequence[Path], baseline: str | None, output: Path, margin: float) -> Verdict:
    """Judge the runs in some directories, print the verdict, and write the report.

    Raises:
        UserError: there is no run, they cannot be compared, or the output cannot be written.
    """
    verdict = judge(find_runs(paths), baseline, margin)
    logger.warning("%s", console_text(verdict))
    try:
        make_folder(output)
        files = write_tables(verdict, output)
        from mtl_cli.answers.figures import figures_of, write_figures
        from mtl_cli.answers.page import file_name, page

        figures = write_figures(figures_of(verdict), output / "figures")
        write_text(file_name(output), page(verdict, figures))
    except RunFailure as error:
        raise UserError(f"{error} Name another folder by output=DIR.") from error
    names = ", ".join(dict.fromkeys(path.stem for path in files))
    logger.info("Written to %s: report.html, tables (%s as csv, md, tex), figures/", output, names)
    return verdict
