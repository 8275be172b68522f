"""mtl-explain says what the tasks of a trained model look at."""

from pathlib import Path
from typing import Any

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of
from mtl_cli.commands.program import Program
from mtl_cli.config.knobs import key_problems, split_problems
from mtl_cli.errors import EXIT_DONE, UserError

OWN = ("task", "split", "rows", "repeats")
HELP = """\
Usage: mtl-explain checkpoint=RUN_DIR|FILE output=DIR [task=TASK] [key=value ...]

Writes what the tasks of a model look at into a folder, as tables and pictures: how much worse each task becomes without
each column of its data, which inputs are shared and which serve one task, and what in single rows speaks for the
prediction, for columns, words and pixels (integrated gradients; pip install 'mtl-cli[explain]').

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file
  output=DIR          folder of the tables and pictures; files of the same names are overwritten
  task=A              explains this task only, or those of a list: 'task=[A,B]'; the default is all tasks
  split=NAME          rows that are looked at: train, val or test; the default is test
  rows=2000           most rows that are looked at, chosen at random
  repeats=10          times that each input is shuffled
  key=value           any key of the config of the run, such as trainer.device=cpu

  --config-dir DIR    folder of your own modules that the config of the run names and that you trust
  --version, --help

Examples:
  mtl-explain checkpoint=RUN_DIR output=explained
  mtl-explain checkpoint=RUN_DIR output=explained task=diagnosis split=val
"""


def command(line: CommandLine) -> int:
    """Explain the checkpoint that the command line names.

    Raises:
        UserError: a word is wrong, or the checkpoint or the data does not fit.
    """
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others("checkpoint", "output"), "mtl-explain")
    if problems := explain_problems(overrides):
        raise UserError(problems)
    task = overrides.get("task", [])
    own: dict[str, Any] = {
        "split": overrides.get("split", "test"),
        "tasks": tuple(map(str, task)) if isinstance(task, list) else (str(task),),
        **{key: overrides[key] for key in ("rows", "repeats") if key in overrides},
    }
    rest = {key: value for key, value in overrides.items() if key not in OWN}
    with console_of(overrides):
        from mtl_cli.runs.explanations.explain import explain
        from mtl_cli.runs.explanations.explained import Request

        checkpoint, output = (Path(str(line.word(word))).expanduser() for word in ("checkpoint", "output"))
        explain(checkpoint, output, Request(**own), rest, line.trusted_folders)
    return EXIT_DONE


def explain_problems(overrides: dict[str, Any]) -> list[str]:
    """Return what is wrong with the words of mtl-explain, as far as that shows without the checkpoint."""
    problems = split_problems(overrides.get("split", "test"))
    for key, least, usual in (("rows", 2, 2000), ("repeats", 2, 10)):
        value = overrides.get(key, usual)
        if type(value) is not int or value < least:
            problems.append(f"{key} is {value!r}; it is a whole number ≥ {least}. Use for example {key}={usual}.")
    rest = {key: value for key, value in overrides.items() if key not in OWN}
    return problems + key_problems(rest, (*OWN, "checkpoint", "output"), "mtl-explain")


PROGRAM = Program(
    name="mtl-explain",
    help=lambda line: HELP,
    body=command,
    usage="mtl-explain checkpoint=RUN_DIR output=DIR",
    needs=("checkpoint", "output"),
    reads={"checkpoint": "a run directory or a .pt file: checkpoint=PATH"},
)
