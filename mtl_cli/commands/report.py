"""mtl-report says what runs say together."""

from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console
from mtl_cli.commands.program import Program
from mtl_cli.errors import EXIT_DONE, UserError, nearest

WORDS = ("baseline", "output", "margin", "merge", "trust", "verbose", "quiet", "debug")
HELP = """\
Usage: mtl-report RUN_OR_SWEEP ... [baseline=SETTING|DIR] [output=DIR] [margin=PERCENT]
                  [merge=task_arithmetic|ties]

Compares the settings of any runs with a baseline, seed by seed or fold by fold, prints the verdict, and writes
report.html, tables (CSV, Markdown, LaTeX) and figures (SVG, PDF). The rule of the verdict is written in the report.

  RUN_OR_SWEEP        directories of runs and sweeps, also of older versions
  baseline=NAME       what others are compared with: a value that sets a setting apart, or the directory of a run or
                      sweep; the default is the winner of a search, else sharing=independent, else each task alone,
                      else sharing=hard or weighting=fixed, else the first by name
  output=DIR          where the report goes; the default is the first directory that is named
  margin=1            percent of the baseline's value below which a difference does not matter
  merge=METHOD        task_arithmetic, ties, or both as 'merge=[task_arithmetic,ties]': runs of each task alone from one
                      init_from are merged into a model of all tasks without training, which is compared as a setting
  trust=[MODULE]      with merge=: modules of your own that the configs of the runs name

  --version, --help

Examples:
  mtl-report runs/sweeps/0123456789abcdef
  mtl-report RUN_DIR OTHER_RUN_DIR baseline=RUN_DIR output=my_report
"""


def command(line: CommandLine) -> int:
    """Judge the runs that the command line names.

    Raises:
        UserError: a word is wrong, or there is nothing to compare.
    """
    paths, problems = [], []
    for text in line.overrides:
        key, equals, value = text.partition("=")
        if not equals or Path(text).exists():
            paths.append(Path(text).expanduser())
        elif key not in WORDS:
            problems.append(
                f"mtl-report has no '{key}'.{nearest(key, WORDS)} It takes directories, baseline=, output=, margin= "
                "and merge=."
            )
        elif key in ("verbose", "quiet", "debug") and value not in ("true", "false"):
            problems.append(f"{key} is '{value}'; it is true or false. Use {key}=true.")
    if not paths:
        problems.append("mtl-report needs the directory of a run or sweep. Use mtl-report RUN_OR_SWEEP.")
    margin = _margin(line.word("margin"), problems)
    methods = _methods(line, problems)
    if problems:
        raise UserError(problems)
    output = Path(line.word("output") or paths[0]).expanduser()
    with console(line.word("verbose") == "true", line.word("quiet") == "true"):
        if methods:
            paths.append(_merged(line, paths, methods, output))
        from mtl_cli.answers import report

        report.write(paths, line.word("baseline"), output, margin)
    return EXIT_DONE


def _methods(line: CommandLine, problems: list[str]) -> list[str]:
    from mtl_cli.answers.runs import MERGINGS

    text = line.word("merge") or ""
    methods = [word.strip() for word in text.strip("[]").split(",") if word.strip()]
    problems += [
        f"merge is '{method}'; it is {' or '.join(MERGINGS)}.{nearest(method, MERGINGS)} Use merge={MERGINGS[0]}."
        for method in methods
        if method not in MERGINGS
    ]
    return list(dict.fromkeys(methods))


def _merged(line: CommandLine, paths: list[Path], methods: list[str], output: Path) -> Path:
    """Merge the single-task runs among those named; return the folder of what they make."""
    from mtl_cli.config.targets import Trust
    from mtl_cli.merging.merge import merge

    modules = [word.strip() for word in (line.word("trust") or "").strip("[]").split(",") if word.strip()]
    merge(paths, methods, output / "merged", line.command, Trust(tuple(modules), tuple(line.trusted_folders)))
    return output / "merged"


def _margin(text: str | None, problems: list[str]) -> float:
    from mtl_cli.answers.comparison import MARGIN

    if text is None:
        return MARGIN
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1000:
        problems.append(f"margin is '{text}'; it is a share in percent, 0 to 1000. Use for example margin=1.")
    return value


PROGRAM = Program(name="mtl-report", help=lambda line: HELP, body=command)
