"""What a command of this package is: what it takes, its help, and what runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtl_cli import __version__
from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.import_path import add_to_path
from mtl_cli.errors import EXIT_DONE, UserError


@dataclass(frozen=True, kw_only=True)
class Program:
    """One command. `body` runs once help, version, flags and required words are dealt with; it imports late."""

    name: str
    help: Callable[[CommandLine], str]
    body: Callable[[CommandLine], int]
    usage: str = ""
    """A command that names all required words."""
    needs: tuple[str, ...] = ()
    """Words `key=value` that must be given."""
    reads: Mapping[str, str] = field(default_factory=dict)
    """Required words that name a file or folder which must exist, each with what to give in its place."""
    flags: tuple[str, ...] | None = ("--config-dir",)
    """Flags beside --help and --version; None leaves them to the body."""

    def run(self, line: CommandLine) -> int:
        """Run the command that was typed; return its exit code.

        Raises:
            UserError: a flag or word is wrong or missing.
        """
        if "--help" in line.flags:
            print(self.help(line))
            return EXIT_DONE
        if "--version" in line.flags:
            print(f"{self.name} {__version__}")
            return EXIT_DONE
        if self.flags is not None and (others := [flag for flag in line.flags if flag not in self.flags]):
            raise UserError(f"{self.name} has no option {', '.join(others)}. {self.name} --help shows what it takes.")
        words = {key: line.word(key) for key in self.needs}
        if absent := [f"{key}=" for key, value in words.items() if value is None]:
            raise UserError(f"{self.name} needs {', '.join(absent)}. Use {self.usage}.")
        problems = [
            f"No {key} at {words[key]}. Give {instead}."
            for key, instead in self.reads.items()
            if not Path(str(words[key])).expanduser().exists()
        ]
        if problems:
            raise UserError(problems)
        if line.config_dir:
            add_to_path(line.config_dir)
        return self.body(line)
