"""The programs of this package and the one guard that turns exceptions into exit codes.

torch is not imported until a run really starts; Hydra not for help, version, resume= and a missing checkpoint.
"""

import contextlib
import gc
import os
import sys
import traceback
from collections.abc import Iterator, Sequence

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


def train() -> int:
    """Run mtl-train with the arguments of this process; return its exit code."""
    return main(sys.argv[1:])


def evaluate() -> int:
    """Run mtl-eval with the arguments of this process; return its exit code."""
    return main_eval(sys.argv[1:])


def predict() -> int:
    """Run mtl-predict with the arguments of this process; return its exit code."""
    return main_predict(sys.argv[1:])


def export() -> int:
    """Run mtl-export with the arguments of this process; return its exit code."""
    return main_export(sys.argv[1:])


def serve() -> int:
    """Run mtl-serve with the arguments of this process; return its exit code."""
    return main_serve(sys.argv[1:])


def init() -> int:
    """Run mtl-init with the arguments of this process; return its exit code."""
    return main_init(sys.argv[1:])


def report() -> int:
    """Run mtl-report with the arguments of this process; return its exit code."""
    return main_report(sys.argv[1:])


def explain() -> int:
    """Run mtl-explain with the arguments of this process; return its exit code."""
    return main_explain(sys.argv[1:])


def affinity() -> int:
    """Run mtl-affinity with the arguments of this process; return its exit code."""
    return main_affinity(sys.argv[1:])


def main(arguments: Sequence[str]) -> int:
    """Run mtl-train in this process; return its exit code."""
    return guarded(train_command.PROGRAM, arguments)


def main_eval(arguments: Sequence[str]) -> int:
    """Run mtl-eval in this process; return its exit code."""
    return guarded(evaluate_command.PROGRAM, arguments)


def main_predict(arguments: Sequence[str]) -> int:
    """Run mtl-predict in this process; return its exit code."""
    return guarded(predict_command.PROGRAM, arguments)


def main_export(arguments: Sequence[str]) -> int:
    """Run mtl-export in this process; return its exit code."""
    return guarded(export_command.PROGRAM, arguments)


def main_serve(arguments: Sequence[str]) -> int:
    """Run mtl-serve in this process; return its exit code."""
    return guarded(serve_command.PROGRAM, arguments)


def main_init(arguments: Sequence[str]) -> int:
    """Run mtl-init in this process; return its exit code."""
    return guarded(init_command.PROGRAM, arguments)


def main_report(arguments: Sequence[str]) -> int:
    """Run mtl-report in this process; return its exit code."""
    return guarded(report_command.PROGRAM, arguments)


def main_explain(arguments: Sequence[str]) -> int:
    """Run mtl-explain in this process; return its exit code."""
    return guarded(explain_command.PROGRAM, arguments)


def main_affinity(arguments: Sequence[str]) -> int:
    """Run mtl-affinity in this process; return its exit code."""
    return guarded(affinity_command.PROGRAM, arguments)


def guarded(program: Program, arguments: Sequence[str]) -> int:
    """Return the exit code of a command: the only place where exceptions become one."""
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
