"""What Hydra itself answers: --cfg, --info, --hydra-help and --shell-completion."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mtl_cli.commands import hydra_plugin
from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.compose import CONFIG_ERRORS, hydra_session, version_base
from mtl_cli.commands.diagnosis import diagnose
from mtl_cli.commands.group_overrides import regrouped
from mtl_cli.config.shipped import conf_dir
from mtl_cli.errors import EXIT_DONE, EXIT_USAGE, UserError

PASSED_ON = ("--cfg", "--package", "--resolve", "--info", "--hydra-help", "--shell-completion", "--config-name")


def run_hydra_command(line: CommandLine) -> int:
    """Let Hydra answer; return the exit code.

    Raises:
        UserError: every problem with the overrides.
    """
    arguments = [text for flag in PASSED_ON if flag in line.flags for text in (flag, line.flags[flag]) if text]
    overrides = list(line.overrides)
    if "--shell-completion" not in line.flags:
        with hydra_session(line.config_dir, line.config_name) as session:
            overrides = regrouped(session, overrides)
    try:
        return call_hydra(line, [*arguments, *overrides], nothing)
    except CONFIG_ERRORS as error:
        if "--shell-completion" in line.flags and any(text.startswith("query=") for text in line.overrides):
            return EXIT_USAGE  # a half-typed command has no completions
        typed = () if "--shell-completion" in line.flags else line.overrides
        with hydra_session(line.config_dir, line.config_name) as session:
            raise UserError(diagnose(session, typed, error)) from error


def nothing(config: DictConfig) -> None:
    """Take the place of a run in commands that start none."""


def call_hydra(line: CommandLine, arguments: list[str], task_function: Callable[[DictConfig], object]) -> int:
    """Run a `hydra.main` function with these arguments; return the exit code. Nothing of it is left afterwards."""
    hydra_plugin.register(line.config_dir)
    app = hydra.main(config_path=str(conf_dir()), config_name=line.config_name, **version_base())(task_function)
    with as_process([line.program, *arguments]):
        try:
            app()
        except SystemExit as end:
            return EXIT_DONE if end.code in (0, None) else EXIT_USAGE
        finally:
            hydra_plugin.SearchPath.config_dir = None
            HydraConfig.instance().cfg = None
            GlobalHydra.instance().clear()
    return EXIT_DONE


@contextmanager
def as_process(arguments: list[str]) -> Iterator[None]:
    """Give a block its own sys.argv, the root logger as it is, and Hydra's exceptions instead of its own printing."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = arguments
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
        root.handlers[:] = handlers
        root.setLevel(level)
