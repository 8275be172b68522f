"""mtl-predict: a checkpoint on new files."""

from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console
from mtl_cli.commands.program import Program
from mtl_cli.config.knobs import key_problems
from mtl_cli.errors import EXIT_DONE, UserError

HELP = """\
Usage: mtl-predict checkpoint=RUN_DIR|FILE input=FILE output=FILE [key=value ...]

Writes the rows of a table, in their order and format (CSV, TSV, JSONL, Parquet), or the lines of a CoNLL file, with the
predictions and probabilities of every task in further columns, named after the tasks. The statistics and categories are
those of the training run.

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file
  input=FILE          needs the model's input columns; others, labels among them, are copied and not looked at
  output=FILE         appears whole or not at all; another file of that name is replaced, the input never
  batch_size=4096     rows at a time
  tasks=[A,B]         predict these tasks only; default: all on tables
  key=value           any key of the run's config, such as trainer.device=cpu

A category that training never saw counts as unknown; a missing number is imputed as in training. A missing input
column, or a cell that is no number where one is needed, is an error.

  --config-dir DIR    folder of your own modules that the run's config names, and that you trust
  --version, --help

Examples:
  mtl-predict checkpoint=RUN_DIR input=new.csv output=predicted.csv
"""

WORDS = ("checkpoint", "input", "output")


def predict(line: CommandLine) -> int:
    """Predict the file that the command line names.

    Raises:
        UserError: an override is wrong, or the checkpoint or the file does not fit.
    """
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others(*WORDS), "mtl-predict")
    if problems := key_problems(overrides, ("batch_size", "tasks"), "mtl-predict"):
        raise UserError(problems)
    with console(overrides.get("verbose", False), overrides.get("quiet", False)):
        from mtl_cli.runs import predict

        checkpoint, source, target = (Path(str(line.word(key))) for key in WORDS)
        predict.predict(checkpoint, source, target, overrides, line.trusted_folders)
    return EXIT_DONE


PROGRAM = Program(
    name="mtl-predict",
    help=lambda line: HELP,
    body=predict,
    usage="mtl-predict checkpoint=RUN_DIR input=FILE output=FILE",
    needs=WORDS,
    reads={"checkpoint": "checkpoint=PATH", "input": "input=PATH"},
)
