"""mtl-predict writes the predictions of a checkpoint for new files."""

from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of
from mtl_cli.commands.program import Program, listed
from mtl_cli.config.knobs import key_problems
from mtl_cli.errors import EXIT_DONE, UserError

HELP = """\
Usage: mtl-predict checkpoint=RUN_DIR|FILE input=FILE|DIR output=FILE|DIR [key=value ...]

Writes the rows of a table in their order and format (CSV, TSV, JSONL, Parquet, Feather), or the lines of a CoNLL file.
The predictions and probabilities of every task stand in further columns that are named after the tasks. Of arrays
(.npz, .npy), images and sounds (a folder, a file) it writes a CSV or TSV file with one line per row. Where a task makes
files, such as label images, the output is a new folder, which holds them and that table; it may be one for any images
(output=DIR). Statistics and categories are those of the training run.

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file; of several, checkpoint=[A,B], the output
                      has the mean of their numbers with the standard deviation (_spread), and the classes of the mean
                      probabilities with the share of checkpoints that say the same (_agreement)
  input=PATH          a file with the input columns of the model; other columns, such as labels, are copied only
  output=PATH         appears whole or not at all; it replaces a file of that name, but never the input
  samples=16          in the place of input: images that a variational autoencoder makes up, as one sheet
                      (output=FILE.png) or a folder of images
  batch_size=4096     rows that are predicted at a time
  skip_bad=true       leaves out images and sounds that cannot be read and names them; otherwise they are one error
  tasks=[A,B]         predicts these tasks only; the default is all tasks that can read the input
  preference=[.3,.7]  of a run of weighting=preference: how much each task counts, in their order; the sum is 1
  key=value           any key of the config of the run, such as trainer.device=cpu

A category that training never saw counts as unknown. A missing number is imputed as in training. A missing input column
is an error, and so is a cell that is not a number where one is needed.

  --config-dir DIR    folder of your own modules that the config of the run names and that you trust
  --version, --help

Examples:
  mtl-predict checkpoint=RUN_DIR input=new.csv output=predicted.csv
  mtl-predict checkpoint=[RUN_DIR,OTHER_RUN] input=new.csv output=predicted.csv
  mtl-predict checkpoint=RUN_DIR samples=16 output=samples.png
"""

WORDS = ("checkpoint", "input", "output")
SAMPLES = "samples"


def command(line: CommandLine) -> int:
    """Predict the file that the command line names.

    Raises:
        UserError: an override is wrong, or the checkpoint or the file does not fit.
    """
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others(*WORDS), "mtl-predict")
    number = overrides.pop(SAMPLES, None)
    if number is not None and line.word("input") is not None:
        raise UserError("samples= makes up images, and input= names a file to predict. Leave one of them out.")
    if problems := key_problems(overrides, ("batch_size", "tasks", "skip_bad"), "mtl-predict"):
        raise UserError(problems)
    with console_of(overrides):
        from mtl_cli.runs import generate, predict

        checkpoint, source, target = (Path(str(line.word(key))) for key in WORDS)
        several = listed(str(line.word("checkpoint")))
        if len(several) > 1 and number is None:
            from mtl_cli.runs import ensemble

            paths = [Path(each).expanduser() for each in several]
            ensemble.predict_together(paths, source, target, overrides, line.trusted_folders)
            return EXIT_DONE
        if number is not None:
            generate.generate(checkpoint, target, number, overrides, line.trusted_folders)
            return EXIT_DONE
        predict.predict(checkpoint, source, target, overrides, line.trusted_folders)
    return EXIT_DONE


PROGRAM = Program(
    name="mtl-predict",
    help=lambda line: HELP,
    body=command,
    usage="mtl-predict checkpoint=RUN_DIR input=FILE output=FILE",
    needs=WORDS,
    instead={"input": SAMPLES},
    lists=("checkpoint",),
    reads={"checkpoint": "checkpoint=PATH", "input": "input=PATH"},
)
