"""The programs of this package and the one guard that turns exceptions into exit codes.

torch is not imported until a run really starts; Hydra not for help, version, resume= and a missing checkpoint.
"""

import contextlib
import gc
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from functools import partial

from mtl_cli.commands import affinity as affinity_command
from mtl_cli.commands import evaluate as evaluate_command
from mtl_cli.commands import explain as explain_command
from mtl_cli.commands import export as export_command
from mtl_cli.commands import init as init_command
from mtl_cli.commands import predict as predict_command
from mtl_cli.commands import report as report_command
from mtl_cli.commands import serve as serve_command
from mtl_cli.commands import train as train_command
from mtl_cli.commands.command_line import CommandLine, parse_arguments
from mtl_cli.commands.console import mute
from mtl_cli.commands.import_path import own_path
from mtl_cli.commands.program import Program
from mtl_cli.errors import (
    EXIT_CTRL_C,
    EXIT_FAILURE,
    EXIT_USAGE,
    Interrupted,
    RunFailure,
    UserError,
    exhausted,
    printable,
    too_many_files,
)


def guarded(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Run a program with its arguments, those of this process by default; return its exit code.

    This is the only place where exceptions become exit codes.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    line = CommandLine(program.name, tuple(arguments))
    try:
        with rare_collections(), own_path() if line.names_own_code else contextlib.nullcontext():
            return program.run(parse_arguments(program.name, arguments, program.flags, program.words))
    except UserError as error:
        return failed(line, error, EXIT_USAGE, error.problems)
    except RunFailure as error:
        return failed(line, error, EXIT_FAILURE, [str(error)])
    except Interrupted as interrupted:  # the run has said so, and how to continue
        return interrupted.code
    except KeyboardInterrupt as error:
        return failed(line, error, EXIT_CTRL_C, ["Interrupted."])
    except BrokenPipeError:  # such as `mtl-train --help | head -1`
        mute()
        return EXIT_FAILURE
    except Exception as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        hint = "" if line.debug else " Show where by debug=true."
        return failed(line, error, EXIT_FAILURE, [exhausted(error) or f"Unexpected {text}.{hint}"])


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Look for unreachable cycles per 10,000 new objects, not per 700: imports make none, and start 0.15 s sooner."""
    before = gc.get_threshold()
    gc.set_threshold(10_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def failed(line: CommandLine, error: BaseException, code: int, problems: Sequence[str]) -> int:
    """Print problems to standard error, with the traceback where debug=true asks for it; return the exit code."""
    with contextlib.suppress(OSError):  # standard error may be a file on the full disk that is to be told of
        if line.debug or os.environ.get("HYDRA_FULL_ERROR") == "1":
            print(printable("".join(traceback.format_exception(error))), file=sys.stderr)
        for problem in [exhausted(error)] if too_many_files(error) else problems:
            print("error: " + printable(problem.rstrip()).replace("\n", "\n  "), file=sys.stderr)
    return code


train = main = partial(guarded, train_command.PROGRAM)
evaluate = main_eval = partial(guarded, evaluate_command.PROGRAM)
predict = main_predict = partial(guarded, predict_command.PROGRAM)
export = main_export = partial(guarded, export_command.PROGRAM)
serve = main_serve = partial(guarded, serve_command.PROGRAM)
init = main_init = partial(guarded, init_command.PROGRAM)
report = main_report = partial(guarded, report_command.PROGRAM)
explain = main_explain = partial(guarded, explain_command.PROGRAM)
affinity = main_affinity = partial(guarded, affinity_command.PROGRAM)
"""Each program twice: as the entry point of its command, and by the name under which Python calls it with arguments."""
