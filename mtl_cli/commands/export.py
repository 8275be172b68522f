"""mtl-export writes a bundle: a model with its preprocessing, checked, hashed and described."""

from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console
from mtl_cli.commands.program import Program
from mtl_cli.config.knobs import key_problems
from mtl_cli.errors import EXIT_DONE, UserError
from mtl_cli.runs.calibration.wish import WORDS as CALIBRATION
from mtl_cli.runs.statistics.asked import Asked

HELP = """\
Usage: mtl-export checkpoint=RUN_DIR|FILE output=DIR [format=torch|onnx|safetensors] [key=value ...]

Writes a bundle: the model of the asked tasks with its preprocessing as data, its decisions, a manifest with a SHA-256
of every file, and a card. Before it is written validation rows of the run are replayed: numbers differ from those of
the checkpoint by at most 1e-4 of max(1, |x|). mtl_cli.load(DIR) predicts by it, and mtl-serve serves it.

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file
  output=DIR          a new folder; it appears whole or not at all
  format=torch        torch: a checkpoint that holds no more than predictions need; safetensors: the same without a
                      pickle; onnx: a graph with any number of rows, which runs without torch
  tasks=[A,B]         these tasks only; the default is all
  quantise=int8       weights of 8 bits (onnx); refused where a metric loses more than a point on validation rows
  calibrate=true      fits temperatures, sets and intervals on the validation rows, as mtl-eval does, for the bundle
                      alone; with thresholds=f1|accuracy|COSTS and coverage=0.9 also these
  licence=TEXT        what the card says of the licence
  rows=1000           validation rows that are replayed, at most
  key=value           any key of the config of the run, such as another place of its files

  --config-dir DIR    folder of your own modules that the config of the run names and that you trust
  --version, --help

Examples:
  mtl-export checkpoint=RUN_DIR output=bundle format=onnx
"""

WORDS = ("checkpoint", "output")
OWN = ("format", "tasks", "quantise", "licence", "rows")


def command(line: CommandLine) -> int:
    """Export the checkpoint that the command line names.

    Raises:
        UserError: an override is wrong, or the bundle cannot be written.
    """
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others(*WORDS), "mtl-export")
    problems = key_problems(overrides, (*OWN, *CALIBRATION), "mtl-export")
    try:
        Asked.of({key: overrides[key] for key in CALIBRATION if key in overrides})
    except UserError as error:
        problems += error.problems
    if problems:
        raise UserError(problems)
    with console(overrides.get("verbose", False), overrides.get("quiet", False)):
        from mtl_cli.export import bundle

        own = {key: overrides.pop(key) for key in OWN if key in overrides}
        wanted = bundle.Wanted(
            str(own.get("format", "torch")), own.get("tasks"), own.get("quantise"), str(own.get("licence", "")),
            own.get("rows", bundle.ROWS), {key: overrides.pop(key) for key in CALIBRATION if key in overrides},
        )  # fmt: skip
        if problems := wanted.problems():
            raise UserError(problems)
        checkpoint, output = (Path(str(line.word(key))).expanduser() for key in WORDS)
        bundle.export(checkpoint, output, wanted, overrides, line.trusted_folders, line.command)
    return EXIT_DONE


PROGRAM = Program(
    name="mtl-export",
    help=lambda line: HELP,
    body=command,
    usage="mtl-export checkpoint=RUN_DIR output=DIR",
    needs=WORDS,
    reads={"checkpoint": "a run directory or a .pt file: checkpoint=PATH"},
)
