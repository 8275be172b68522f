"""mtl-export writes a bundle: a model with its preprocessing, checked, hashed and described."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of
from mtl_cli.commands.program import Program
from mtl_cli.config.knobs import key_problems
from mtl_cli.errors import EXIT_DONE, UserError
from mtl_cli.runs.calibration.wish import WORDS as CALIBRATION
from mtl_cli.runs.statistics.asked import Asked

if TYPE_CHECKING:
    from mtl_cli.export.bundle import Wanted

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
    if problems := word_problems(overrides):
        raise UserError(problems)
    with console_of(overrides):
        from mtl_cli.export import bundle

        wanted, rest = asked(overrides)
        checkpoint, output = (Path(str(line.word(key))).expanduser() for key in WORDS)
        bundle.export(checkpoint, output, wanted, rest, line.trusted_folders, line.command)
    return EXIT_DONE


def word_problems(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the words of mtl-export, as far as that shows without torch."""
    problems = key_problems(dict(values), (*OWN, *CALIBRATION), "mtl-export")
    try:
        Asked.of({key: values[key] for key in CALIBRATION if key in values})
    except UserError as error:
        problems += error.problems
    return problems


def asked(values: Mapping[str, Any]) -> "tuple[Wanted, dict[str, Any]]":
    """Return what the words of mtl-export ask of a bundle, and the keys of the run's config among them.

    Raises:
        UserError: a word is wrong.
    """
    from mtl_cli.export.bundle import ROWS, Wanted

    wanted = Wanted(
        str(values.get("format", "torch")), values.get("tasks"), values.get("quantise"),
        str(values.get("licence", "")), values.get("rows", ROWS),
        {key: values[key] for key in CALIBRATION if key in values},
    )  # fmt: skip
    if problems := [*word_problems(values), *wanted.problems()]:
        raise UserError(problems)
    return wanted, {key: value for key, value in values.items() if key not in (*OWN, *CALIBRATION)}


PROGRAM = Program(
    name="mtl-export",
    help=lambda line: HELP,
    body=command,
    usage="mtl-export checkpoint=RUN_DIR output=DIR",
    needs=WORDS,
    reads={"checkpoint": "a run directory or a .pt file: checkpoint=PATH"},
)
