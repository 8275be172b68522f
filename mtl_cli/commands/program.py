"""What a command of this package is: what it takes, its help, and what runs it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtl_cli import __version__
from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.import_path import add_to_path
from mtl_cli.errors import EXIT_DONE, EXIT_USAGE, UserError, nearest, nearest_name
from mtl_cli.ranks.place import place_of


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
    instead: Mapping[str, str] = field(default_factory=dict)
    """Words that may stand for a required one, by that one."""
    reads: Mapping[str, str] = field(default_factory=dict)
    """Required words that name a file or folder which must exist, each with what to give in its place."""
    below: str | None = None
    """The word that names the folder which relative ones of `reads` are below; None, or not given: where it runs."""
    lists: tuple[str, ...] = ()
    """Words of `reads` that may name several: [A,B]."""
    flags: tuple[str, ...] | None = ("--config-dir",)
    """Flags beside --help and --version; None leaves them to the body."""
    several: bool = False
    """Whether it runs in the processes that torchrun or srun start; the others would do the same thing in each."""

    @property
    def words(self) -> tuple[str, ...]:
        """Every word of its own, as its help lists them; mtl-train, whose flags the body reads, has none."""
        text = "" if self.flags is None else self.help(CommandLine(self.name, ()))
        return tuple(word for word in re.findall(r"^  (\w+)=", text, re.MULTILINE) if word != "key")

    def run(self, line: CommandLine) -> int:
        """Run the command that was typed; return its exit code.

        Raises:
            UserError: a flag or word is wrong or missing.
        """
        if "--help" in line.flags:
            text = self.help(line)
            print(text if self.flags is None or not line.topics else _lines_on(line.topics, text, self.name))
            return EXIT_DONE
        if "--version" in line.flags:
            print(f"{self.name} {__version__}")
            return EXIT_DONE
        place = None if self.several else place_of()
        if place is not None:
            if not place.is_first:  # the first one tells the user
                return EXIT_USAGE
            raise UserError(f"{self.name} runs in one process, and {place.launcher} has started {place.size}. Start 1.")
        if self.flags is not None and (others := [flag for flag in line.flags if flag not in self.flags]):
            raise UserError(f"{self.name} has no option {', '.join(others)}. {self.name} --help shows what it takes.")
        needs = [key for key in self.needs if key not in self.instead or line.word(self.instead[key]) is None]
        words = {key: line.word(key) for key in needs}
        if absent := [f"{key}=" for key, value in words.items() if value is None]:
            usage = self.usage
            for key in {*self.instead} - {*needs}:  # what was typed in its place
                word = self.instead[key]
                usage = re.sub(rf"\b{key}=\w+", f"{word}={line.word(word)}", usage)
            raise UserError(f"{self.name} needs {', '.join(absent)}.{self._meant(line, absent)} Use {usage}.")
        root = Path((self.below and line.word(self.below)) or "").expanduser()
        problems = [
            f"No {key} at {root / path}. Give {instead}."
            for key, instead in self.reads.items()
            if key in words
            for path in (listed(str(words[key])) if key in self.lists else [str(words[key])])
            if not (root / Path(path).expanduser()).exists()
        ]
        if problems:
            raise UserError(problems)
        if line.config_dir:
            add_to_path(line.config_dir)
        return self.body(line)

    def _meant(self, line: CommandLine, absent: Sequence[str]) -> str:
        """Return how something typed may be meant as a word that is missing: it is misspelt, or a path without one."""
        for text in line.overrides:
            key, equals, value = text.partition("=")
            word = nearest_name(key, self.needs) if equals else ""
            if f"{word}=" in absent:
                return f" Did you mean {word}={value}?"
        paths = [text for text in line.overrides if "=" not in text and Path(text).exists()]
        readable = [word for word in absent if word.rstrip("=") in self.reads]
        return f" Did you mean {readable[0]}{paths[0]}?" if len(paths) == len(readable) == 1 else ""


def listed(text: str) -> list[str]:
    """Return the paths that a word names: one, or those of a list such as [A,B]."""
    if not (text.startswith("[") and text.endswith("]")) or Path(text).exists():
        return [text]
    return [path.strip().strip("'\"") for path in text[1:-1].split(",")]


def _lines_on(topics: Sequence[str], text: str, program: str) -> str:
    """Return what a help text says about each of some words.

    Raises:
        UserError: it says nothing about one.
    """
    blocks = {match[2]: match[1] for match in re.finditer(r"^(  (-{0,2}[\w-]+).*\n(?: {10}.*\n)*)", text, re.MULTILINE)}
    names = [topic.partition("=")[0] for topic in topics]
    shows = f"{program} --help shows what it takes."
    if unknown := [name for name in names if name not in blocks]:
        raise UserError([f"{program} has no '{name}'.{nearest(name, blocks)} {shows}" for name in unknown])
    return "".join(blocks[name] for name in names).rstrip()
