"""mtl-eval evaluates a checkpoint on a split."""

from pathlib import Path
from typing import Any

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of
from mtl_cli.commands.program import Program
from mtl_cli.config.knobs import PREFERENCE, key_problems, split_problems
from mtl_cli.errors import EXIT_DONE, UserError
from mtl_cli.runs.statistics.asked import WORDS, Asked

OWN = ("split", *WORDS)
HELP = """\
Usage: mtl-eval checkpoint=RUN_DIR|FILE [split=test|input=FILE] [by=[COLUMN]] [key=value ...]

Rebuilds the model from the config of the run, prints the metrics of a split or file for each task, with intervals of
95 % over its rows, and writes them with confusion matrices, files and numbers of rows into the run directory.

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file
  split=NAME          train, val or test; the default is test
  input=FILE          all rows of a file with labels, in place of a split; the files of the run are not needed
  by=[A,B]            columns of the data, inputs or not: every metric by group of rows, gaps, and the worst group; a
                      column of many numbers is divided into four bands
  bootstrap=1000      resamples of the rows for the intervals; 0 leaves the intervals out
  calibrate=true      fits temperatures, and sets or intervals of 90 %, on the validation rows, checks them on the test
                      rows, and stores them in the checkpoint, so that mtl-predict goes by them
  thresholds=f1       with calibrate=true: decisions by accuracy, f1, or costs by true and predicted class,
                      'thresholds=cost=[[0,1],[5,0]]'; for single tasks 'thresholds={diagnosis:f1}'
  coverage=0.9        with calibrate=true: share of rows whose set or interval holds the truth
  preference=[.3,.7]  of a run of weighting=preference: how much each task counts, in their order; the sum is 1
  key=value           any key of the config of the run, such as another source of the same data

  --config-dir DIR    folder of your own modules that the config of the run names and that you trust
  --version, --help

Examples:
  mtl-eval checkpoint=runs/2026-01-31/12-00-00-000000_mnist_digits+letters
  mtl-eval checkpoint=RUN_DIR split=val trainer.device=cpu
  mtl-eval checkpoint=RUN_DIR input=new.csv
  mtl-eval checkpoint=RUN_DIR 'by=[sex,age_band]'
  mtl-eval checkpoint=RUN_DIR calibrate=true thresholds=f1
  mtl-eval checkpoint=RUN_DIR data.source=torchvision data.root=DIR
"""


def command(line: CommandLine) -> int:
    """Evaluate the checkpoint that the command line names.

    Raises:
        UserError: an override is wrong, or the checkpoint or the data does not fit.
    """
    from mtl_cli.commands.overrides import parse_values

    words = [text.replace("thresholds=cost=", "thresholds=") for text in line.others("checkpoint", "input")]
    overrides, source = parse_values(words, "mtl-eval"), line.word("input")
    problems = eval_problems(overrides)
    try:
        Asked.of(overrides)
    except UserError as error:
        problems += error.problems
    if source is not None and not Path(source).expanduser().exists():
        problems.append(f"No input at {source}. Give an existing file: input=FILE.")
    if source is not None and "split" in overrides:
        problems.append(f"input={source} is evaluated whole. Leave out split={overrides['split']}, or input.")
    if overrides.get("calibrate") is True and (source is not None or overrides.get("split", "test") == "val"):
        problems.append("calibrate=true is fitted on the validation rows and checked on others. Use split=test.")
    if problems:
        raise UserError(problems)
    with console_of(overrides):
        from mtl_cli.runs import evaluation

        evaluation.evaluate_checkpoint(
            Path(str(line.word("checkpoint"))),
            overrides,
            line.command,
            line.trusted_folders,
            None if source is None else Path(source).expanduser(),
        )
    return EXIT_DONE


def eval_problems(overrides: dict[str, Any]) -> list[str]:
    """Return what is wrong with the overrides of mtl-eval, as far as that shows without the checkpoint."""
    problems = split_problems(overrides.get("split", "test"))
    chosen = [key for key in (PREFERENCE, f"weighting.{PREFERENCE}") if key in overrides]
    if chosen and overrides.get("calibrate") is True:
        problems.append(f"calibrate=true stores what fits the run's own preference. Leave out {chosen[0]}=.")
    rest = {key: value for key, value in overrides.items() if key not in OWN}
    return problems + key_problems(rest, (*OWN, "input", "checkpoint"), "mtl-eval")


PROGRAM = Program(
    name="mtl-eval",
    help=lambda line: HELP,
    body=command,
    usage="mtl-eval checkpoint=RUN_DIR or checkpoint=FILE",
    needs=("checkpoint",),
    reads={"checkpoint": "a run directory or a .pt file: checkpoint=PATH"},
)
