"""The commands mtl-train, mtl-eval and mtl-predict: what was typed, to what is run, to an exit code.

torch is not imported until a run really starts; Hydra not for help, version, resume= and a missing checkpoint.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mtl_cli import __version__
from mtl_cli.commands.command_line import CommandLine, parse_arguments
from mtl_cli.commands.console import console
from mtl_cli.errors import EXIT_CTRL_C, EXIT_DONE, EXIT_FAILURE, EXIT_USAGE, RunFailure, UserError, nearest
from mtl_cli.import_path import add_to_path, own_path
from mtl_cli.schema import CONSOLE, KNOWN_KEYS, RESUMABLE, knobs, sections
from mtl_cli.signals import Interrupted

SPLITS = ("train", "val", "test")


def train() -> int:
    """Run mtl-train with the arguments of this process; return its exit code."""
    return main(sys.argv[1:])


def evaluate() -> int:
    """Run mtl-eval with the arguments of this process; return its exit code."""
    return main_eval(sys.argv[1:])


def predict() -> int:
    """Run mtl-predict with the arguments of this process; return its exit code."""
    return main_predict(sys.argv[1:])


def init() -> int:
    """Run mtl-init with the arguments of this process; return its exit code."""
    return main_init(sys.argv[1:])


def main(arguments: Sequence[str]) -> int:
    """Run mtl-train in this process; return its exit code."""
    return guarded("mtl-train", arguments, run_train)


def main_eval(arguments: Sequence[str]) -> int:
    """Run mtl-eval in this process; return its exit code."""
    return guarded("mtl-eval", arguments, run_evaluate)


def main_predict(arguments: Sequence[str]) -> int:
    """Run mtl-predict in this process; return its exit code."""
    return guarded("mtl-predict", arguments, run_predict)


def main_init(arguments: Sequence[str]) -> int:
    """Run mtl-init in this process; return its exit code."""
    return guarded("mtl-init", arguments, run_init)


def guarded(program: str, arguments: Sequence[str], body: Callable[[CommandLine], int]) -> int:
    """Return the exit code of a command: the only place where exceptions become one."""
    line = CommandLine(program, tuple(arguments))
    try:
        with own_path() if line.names_own_code else contextlib.nullcontext():
            return body(parse_arguments(program, arguments))
    except UserError as error:
        return failed(line, error, EXIT_USAGE, error.problems)
    except RunFailure as error:
        return failed(line, error, EXIT_FAILURE, [str(error)])
    except Interrupted as interrupted:  # the run has said so, and how to continue
        return interrupted.code
    except KeyboardInterrupt as error:
        return failed(line, error, EXIT_CTRL_C, ["Interrupted."])
    except BrokenPipeError:  # such as `mtl-train --help | head -1`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  so that the interpreter can flush it when it ends
        return EXIT_FAILURE
    except Exception as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        hint = "" if line.debug else " Show where by debug=true."
        return failed(line, error, EXIT_FAILURE, [f"Unexpected {text}.{hint}"])


def failed(line: CommandLine, error: BaseException, code: int, problems: Sequence[str]) -> int:
    """Print problems to standard error, with the traceback where debug=true asks for it; return the exit code."""
    if line.debug or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    for problem in problems:
        print("error: " + problem.rstrip().replace("\n", "\n  "), file=sys.stderr)
    return code


def run_train(line: CommandLine) -> int:
    """Run what the command line of mtl-train asks for."""
    if "--help" in line.flags:
        from mtl_cli.commands.help import train_help

        print(train_help(line.config_dir))
        return EXIT_DONE
    if "--version" in line.flags:
        print(f"mtl-train {__version__}")
        return EXIT_DONE
    if line.config_dir:
        add_to_path(line.config_dir)
    if line.word("resume") not in (None, "auto"):
        return run_resume(line)
    others = [flag for flag in line.flags if flag not in ("--config-dir", "--config-name")]
    if line.word("resume") is not None and (others or line.multirun):
        raise UserError(
            f"resume=auto does not go with {' '.join(others) or 'a sweep'}. Leave it out: a sweep continues by itself."
        )
    if any(flag in line.flags for flag in ("--cfg", "--info", "--shell-completion", "--hydra-help")):
        from mtl_cli.commands.hydra_commands import run_hydra_command

        return run_hydra_command(line)
    if line.multirun:
        from mtl_cli.commands.sweep import run_sweep

        return run_sweep(line)
    return run_single(line) if line.word("resume") is None else run_auto(line)


def run_auto(line: CommandLine) -> int:
    """Continue the run of this very command where its directory holds a checkpoint, else start it."""
    from mtl_cli.commands.compose import hydra_session
    from mtl_cli.commands.jobs import compose_job

    with hydra_session(line.config_dir, line.config_name) as session:
        job = compose_job(session, line.others("resume"))
        directory = job.lasting_dir
    with console(job.config["verbose"], job.config["quiet"]):
        from mtl_cli import auto_resume

        auto_resume.continue_or_train(job.config, directory, line.command, line.folders)
    return EXIT_DONE


def run_single(line: CommandLine) -> int:
    """Compose one config and train with it."""
    from mtl_cli.commands.compose import hydra_session
    from mtl_cli.commands.jobs import compose_job

    with hydra_session(line.config_dir, line.config_name) as session:
        job = compose_job(session, line.overrides)
        directory = job.run_dir
    with console(job.config["verbose"], job.config["quiet"]):
        from mtl_cli import run

        run.train(job.config, directory, line.command, line.folders)
    return EXIT_DONE


def run_resume(line: CommandLine) -> int:
    """Continue the run that resume= names."""
    if any(flag != "--config-dir" for flag in line.flags):
        raise UserError(f"resume= does not go with {' '.join(line.flags)}. Use mtl-train resume=RUN_DIR alone.")
    directory = Path(str(line.word("resume")))
    if not directory.exists():
        raise UserError(f"No run directory at {directory}. Give an existing one, or drop resume= to start a new run.")
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others("resume"), "resume=")
    problems = []
    for key, value in overrides.items():
        if not any(key == name or (name.endswith(".") and key.startswith(name)) for name in (*RESUMABLE, *RESUME_TOO)):
            may = ", ".join(name + "*" if name.endswith(".") else name for name in (*RESUMABLE, *RESUME_TOO))
            problems.append(f"{key}={value} cannot change in a resumed run; only {may} may. Leave it out.")
    if problems := problems + value_problems(overrides):
        raise UserError(problems)
    with console(overrides.get("verbose", False), overrides.get("quiet", False)):
        from mtl_cli import run

        run.resume(directory, overrides, line.command, line.trusted_folders)
    return EXIT_DONE


RESUME_TOO = ("trust", *(key for key in CONSOLE if key != "resume"))
"""What may accompany resume= beside what the run itself may change."""


def run_evaluate(line: CommandLine) -> int:
    """Run what the command line of mtl-eval asks for."""
    if "--help" in line.flags:
        from mtl_cli.commands.help import EVAL_HELP

        print(EVAL_HELP)
        return EXIT_DONE
    if "--version" in line.flags:
        print(f"mtl-eval {__version__}")
        return EXIT_DONE
    if others := [flag for flag in line.flags if flag != "--config-dir"]:
        raise UserError(f"mtl-eval has no option {', '.join(others)}. mtl-eval --help shows what it takes.")
    checkpoint = line.word("checkpoint")
    if checkpoint is None:
        raise UserError("No checkpoint is given. Use mtl-eval checkpoint=RUN_DIR or checkpoint=FILE.")
    if not Path(checkpoint).exists():
        raise UserError(f"No checkpoint at {checkpoint}. Give a run directory or a .pt file: checkpoint=PATH.")
    if line.config_dir:
        add_to_path(line.config_dir)
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others("checkpoint"), "mtl-eval")
    if problems := eval_problems(overrides):
        raise UserError(problems)
    with console(overrides.get("verbose", False), overrides.get("quiet", False)):
        from mtl_cli import run

        run.evaluate(Path(checkpoint), overrides, line.command, line.trusted_folders)
    return EXIT_DONE


def run_predict(line: CommandLine) -> int:
    """Run what the command line of mtl-predict asks for."""
    if "--help" in line.flags:
        from mtl_cli.commands.help import PREDICT_HELP

        print(PREDICT_HELP)
        return EXIT_DONE
    if "--version" in line.flags:
        print(f"mtl-predict {__version__}")
        return EXIT_DONE
    if others := [flag for flag in line.flags if flag != "--config-dir"]:
        raise UserError(f"mtl-predict has no option {', '.join(others)}. mtl-predict --help shows what it takes.")
    words = {key: line.word(key) for key in ("checkpoint", "input", "output")}
    if absent := [key for key, value in words.items() if value is None]:
        raise UserError(
            f"mtl-predict needs {', '.join(f'{key}=' for key in absent)}. "
            "Use mtl-predict checkpoint=RUN_DIR input=FILE output=FILE."
        )
    paths = {key: Path(str(value)) for key, value in words.items()}
    problems = [
        f"No {key} at {paths[key]}. Give {key}=PATH." for key in ("checkpoint", "input") if not paths[key].exists()
    ]
    if line.config_dir:
        add_to_path(line.config_dir)
    from mtl_cli.commands.overrides import parse_values

    overrides = parse_values(line.others(*words), "mtl-predict")
    if problems := problems + key_problems(overrides, ("batch_size", "tasks"), "mtl-predict"):
        raise UserError(problems)
    with console(overrides.get("verbose", False), overrides.get("quiet", False)):
        from mtl_cli import predict

        predict.predict(paths["checkpoint"], paths["input"], paths["output"], overrides, line.trusted_folders)
    return EXIT_DONE


def run_init(line: CommandLine) -> int:
    """Run what the command line of mtl-init asks for."""
    if "--help" in line.flags:
        from mtl_cli.commands.help import INIT_HELP

        print(INIT_HELP)
        return EXIT_DONE
    if "--version" in line.flags:
        print(f"mtl-init {__version__}")
        return EXIT_DONE
    if line.flags:
        raise UserError(f"mtl-init has no option {', '.join(line.flags)}. mtl-init --help shows what it takes.")
    words = {key: line.word(key) for key in ("input", "output")}
    if absent := [key for key, value in words.items() if value is None]:
        raise UserError(
            f"mtl-init needs {', '.join(f'{key}=' for key in absent)}. "
            "Use mtl-init input=data.csv 'target=[income,married]' output=my_conf."
        )
    if not Path(str(words["input"])).expanduser().exists():
        raise UserError(f"No input at {words['input']}. Give the file of a table: input=FILE.")
    from mtl_cli.commands.overrides import parse_values
    from mtl_cli.init_config import init_config

    init_config(str(words["input"]), Path(str(words["output"])), parse_values(line.others(*words), "mtl-init"))
    return EXIT_DONE


def eval_problems(overrides: dict[str, Any]) -> list[str]:
    """Return what is wrong with the overrides of mtl-eval, as far as that shows without the checkpoint."""
    problems = []
    split = overrides.get("split", "test")
    if split not in SPLITS:
        hint = nearest(str(split), SPLITS)
        problems.append(f"split is '{split}'; it is one of {', '.join(SPLITS)}.{hint} Use for example split=test.")
    rest = {key: value for key, value in overrides.items() if key != "split"}
    return problems + key_problems(rest, ("split", "checkpoint"), "mtl-eval")


def key_problems(overrides: dict[str, Any], own: Sequence[str], program: str) -> list[str]:
    """Return what is wrong with overrides of a run's config; `own` are further keys, which the program itself takes."""
    problems = []
    for key, value in overrides.items():
        if key not in own and key.partition(".")[0] not in KNOWN_KEYS:
            hint = nearest(key, [*own, *KNOWN_KEYS])
            problems.append(f"Unknown key '{key}' in {key}={value}.{hint} {program} --help shows what it takes.")
    return problems + value_problems(overrides)


def value_problems(overrides: dict[str, Any]) -> list[str]:
    """Return what is wrong with plain knobs: their values, and keys that their section does not have."""
    problems = []
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        if key in knobs():
            problem = knobs()[key].problem(value)
            problems += [problem] if problem else []
        elif section in sections():
            hint = nearest(name, sections()[section])
            problems.append(f"{section} has no key '{name}'.{hint} Its keys: {', '.join(sections()[section])}.")
    return problems
