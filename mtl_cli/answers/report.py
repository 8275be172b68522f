"""Judging runs and writing what is found: the verdict on the console, tables, figures and one page."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mtl_cli.answers.runs import find_runs
from mtl_cli.answers.tables import write_tables
from mtl_cli.answers.verdict import Verdict, judge
from mtl_cli.answers.words import console_text
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import make_folder

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
    except RunFailure as error:
        raise UserError(f"{error} Name another folder by output=DIR.") from error
    logger.info("Written to %s: %s", output, ", ".join(path.name for path in files))
    return verdict
