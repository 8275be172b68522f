"""mtl-train starts a run, continues one, or runs a sweep."""

import os
from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console_of
from mtl_cli.commands.program import Program
from mtl_cli.config.knobs import value_problems
from mtl_cli.config.schema import CONSOLE, RESUMABLE
from mtl_cli.errors import EXIT_DONE, UserError
from mtl_cli.ranks.place import Place, place_of

RESUME_TOO = ("trust", *(key for key in CONSOLE if key != "resume"))
"""What may accompany resume= beside what the run itself may change."""


def command(line: CommandLine) -> int:
    """Run what the command line of mtl-train asks for: a run, one that is continued, a sweep, or a look at the config.

    Raises:
        UserError: words exclude each other, or the config is wrong.
    """
    place = place_of()
    if place is None:
        return run_alone(line)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else a rank that is gone is told by stacks of C++
    if not place.is_first:
        from mtl_cli.runs.follow import follow

        return follow(place)
    try:
        refuse_apart(line, place)
        return run_alone(line)
    except Exception as error:
        from mtl_cli.ranks.group import call_off

        call_off(place, error)
        raise


def refuse_apart(line: CommandLine, place: Place) -> None:
    """Refuse what several processes that a launcher has started cannot do together.

    Raises:
        UserError: it is asked for.
    """
    if line.multirun:
        raise UserError(
            f"A sweep under {place.launcher} would run in all its processes. Start mtl-train -m alone, with "
            f"trainer.devices={place.size}, or through hydra/launcher."
        )
    for key in ("dry_run", "lr_range_test"):
        if line.word(key) not in (None, "false"):
            raise UserError(
                f"{key} takes one process, and {place.launcher} has started {place.size}. Start mtl-train alone, with "
                f"trainer.devices={place.size} for the same steps."
            )


def run_alone(line: CommandLine) -> int:
    """Run what a command line asks for, as the only process or the first of several."""
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
    if any(text.lstrip("+").startswith(("search=", "search.")) for text in line.overrides):
        if not line.multirun:
            raise UserError("search= runs many jobs. Add -m: mtl-train -m search=tpe ...")
        from mtl_cli.commands.search.search import run_search

        return run_search(line)
    if line.multirun:
        from mtl_cli.commands.sweeps.sweep import run_sweep

        return run_sweep(line)
    return run_single(line) if line.word("resume") is None else run_auto(line)


def run_auto(line: CommandLine) -> int:
    """Continue the run of this very command where its directory holds a checkpoint, else start it."""
    from mtl_cli.commands.compose import hydra_session
    from mtl_cli.commands.composed_run import compose_run

    with hydra_session(line.config_dir, line.config_name) as session:
        job = compose_run(session, line.others("resume"))
        directory = job.lasting_dir
    with console_of(job.config):
        from mtl_cli.runs import auto_resume

        auto_resume.continue_or_train(job.config, directory, line.command, line.folders)
    return EXIT_DONE


def run_single(line: CommandLine) -> int:
    """Compose one config and train with it."""
    from mtl_cli.commands.compose import hydra_session
    from mtl_cli.commands.composed_run import compose_run

    with hydra_session(line.config_dir, line.config_name) as session:
        job = compose_run(session, line.overrides)
        directory = job.run_dir
    with console_of(job.config):
        if job.config["dry_run"] or job.config["lr_range_test"]:
            from mtl_cli.runs import trials

            trial = trials.dry_run if job.config["dry_run"] else trials.lr_range_test
            trial(job.config, directory, line.folders)
            return EXIT_DONE
        from mtl_cli.runs import run

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
    from mtl_cli.config.run_config import CACHE

    overrides = parse_values(line.others("resume"), "resume=")
    problems = []
    for key, value in overrides.items():
        if key.endswith(f".{CACHE}"):  # of this machine, not of the run
            continue
        if not any(key == name or (name.endswith(".") and key.startswith(name)) for name in (*RESUMABLE, *RESUME_TOO)):
            may = ", ".join(name + "*" if name.endswith(".") else name for name in (*RESUMABLE, *RESUME_TOO))
            problems.append(f"{key}={value} cannot change in a resumed run; only {may} may. Leave it out.")
    if problems := problems + value_problems(overrides):
        raise UserError(problems)
    with console_of(overrides):
        from mtl_cli.runs import run

        run.resume(directory, overrides, line.command, line.trusted_folders)
    return EXIT_DONE


def help_text(line: CommandLine) -> str:
    """Return the help, with the options that a --config-dir adds, or the explanation of the topics after --help."""
    if line.topics:
        from mtl_cli.commands.explained import explain

        return explain(line.topics, line.config_dir)
    from mtl_cli.commands.help import train_help

    return train_help(line.config_dir)


PROGRAM = Program(name="mtl-train", help=help_text, body=command, flags=None, several=True)
