"""mtl-affinity finds out which tasks belong together."""

from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of
from mtl_cli.commands.program import Program
from mtl_cli.errors import EXIT_DONE, UserError

EVERY = 10
WORDS = ("output", "budget", "every", "most")
HELP = """\
Usage: mtl-affinity task=A+B+C output=DIR [budget=N] [every=N] [GROUP=OPTION ...] [KEY=VALUE ...]

Trains all tasks together once, as mtl-train does with the same words, and measures how much a step for each task alone
lowers the losses of the others (inter-task affinity), and the cosines of their gradients. It writes both as tables and
figures, how the labels of the tasks hang together, and the best groups, as configs with sharing=groups.

  output=DIR          a new folder for everything, the joint run included
  budget=N            most groups: every group has a trunk of its own; the default is every number up to 12
  every=10            steps between measurements; one costs a pass over the batch for each task, forwards and back
  most=64             tasks that are compared at most; with more it says what all of them take
  key=value           any word of mtl-train; arithmetic is float32 unless trainer.precision says otherwise

  --config-dir DIR    adds a conf folder of yours
  --version, --help

Examples:
  mtl-affinity task=mnist_digits+letters+fashion_mnist output=together
  mtl-affinity --config-dir my_conf task=A+B+C+D budget=2 trainer.max_epochs=3 output=together
"""


def command(line: CommandLine) -> int:
    """Measure the tasks that the command line chooses.

    Raises:
        UserError: a word is wrong, or the config or data.
    """
    from mtl_cli.commands.compose import hydra_session
    from mtl_cli.commands.composed_run import compose_run, makeable

    budget, every, most = (_whole(line, word) for word in WORDS[1:])
    output, words = Path(str(line.word("output"))).expanduser(), line.others(*WORDS)
    precision = [] if any(word.startswith("trainer.precision=") for word in words) else ["trainer.precision=fp32"]
    with hydra_session(line.config_dir) as session:
        job = compose_run(session, [*words, *precision])
    makeable(output, "output")
    with console_of(job.config):
        from mtl_cli.affinity.measure import MOST, Wanted, measure

        flags = [] if line.config_dir is None else ["--config-dir", str(line.config_dir)]
        measure(job.config, output, Wanted(budget, every or EVERY, most or MOST), [*flags, *words], line.folders)
    return EXIT_DONE


def _whole(line: CommandLine, key: str) -> int | None:
    text = line.word(key)
    if text is not None and not (text.isdecimal() and text.isascii() and 1 <= int(text) < 2**31):
        raise UserError(f"{key} is '{text}'; it is a whole number ≥ 1. Use for example {key}=2.")
    return None if text is None else int(text)


PROGRAM = Program(
    name="mtl-affinity",
    help=lambda line: HELP,
    body=command,
    usage="mtl-affinity task=A+B+C output=DIR",
    needs=("output",),
)
