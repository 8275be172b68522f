"""The command line as it is typed: flags, overrides, and the words that are recognised before Hydra starts."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtl_cli.commands.meant_flags import meant_override
from mtl_cli.errors import UserError, nearest

FLAGS = {
    "-h": "--help", "-m": "--multirun", "-c": "--cfg", "-p": "--package", "-i": "--info", "-cd": "--config-dir",
    "-cn": "--config-name", "-sc": "--shell-completion", "-r": "--run", "-cp": "--config-path",
}  # fmt: skip
"""Long forms of short flags, as Hydra names them."""
TAKES_VALUE = ("--cfg", "--package", "--config-dir", "--config-name")
SWITCHES = ("--help", "--version", "--multirun", "--run", "--resolve", "--shell-completion", "--hydra-help")
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
CFG = ("job", "hydra", "all")


@dataclass(frozen=True)
class CommandLine:
    """Flags by their long name (a switch has the value ""), and overrides in their order."""

    program: str
    arguments: tuple[str, ...]
    flags: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The command as it was typed."""
        return [self.program, *self.arguments]

    @property
    def debug(self) -> bool:
        """True where tracebacks are asked for, whatever else is wrong with the command."""
        return any(re.fullmatch(r"\+{0,2}debug=(true|1|yes|on)", text, re.IGNORECASE) for text in self.arguments)

    @property
    def names_own_code(self) -> bool:
        """True where modules of the working directory may be meant: when a run starts, or the command says so.

        What else is only resumed or looked at may be a stranger's, and so may the working directory.
        """
        words = [text.lstrip("+") for text in self.arguments]
        starts = self.program in ("mtl-train", "mtl-affinity") and not any(
            text.startswith("resume=") and text not in ("resume=auto", "resume=null") for text in words
        )
        return starts or any(text.startswith(("trust=", "--config-dir", "-cd")) for text in words)

    @property
    def topics(self) -> list[str]:
        """What follows --help: words that it explains."""
        index = next((index for index, text in enumerate(self.arguments) if text in ("-h", "--help")), None)
        after = () if index is None else self.arguments[index + 1 :]
        return list(itertools.takewhile(lambda text: not text.startswith("-"), after))

    @property
    def multirun(self) -> bool:
        """True where a sweep is asked for, by -m or as Hydra has it."""
        return "--multirun" in self.flags or "hydra.mode=MULTIRUN" in self.overrides

    @property
    def config_dir(self) -> Path | None:
        """The user's conf folder.

        Raises:
            UserError: there is no such folder.
        """
        if "--config-dir" not in self.flags:
            return None
        path = Path(self.flags["--config-dir"]).absolute()
        if not path.is_dir():
            raise UserError(f"No folder at {path}. Give an existing one: --config-dir DIR.")
        return path

    @property
    def config_name(self) -> str:
        """Name of the primary config."""
        return self.flags.get("--config-name", "config")

    @property
    def folders(self) -> list[Path]:
        """Where the user's own modules lie, which a config composed here may name."""
        return [Path.cwd(), *([self.config_dir] if self.config_dir else [])]

    @property
    def trusted_folders(self) -> list[Path]:
        """Where modules lie that a checkpoint's config may name: nowhere, unless the command speaks of own files."""
        return self.folders if self.config_dir else []

    def word(self, key: str) -> str | None:
        """Return the value of `key=value`, raw, or None where it is not given.

        Raises:
            UserError: it is given twice or without a value.
        """
        values = [text.partition("=")[2] for text in self.overrides if re.match(rf"\+{{0,2}}{key}=", text)]
        if len(values) > 1:
            raise UserError(f"{key}= is given {len(values)} times: {', '.join(values)}. Give it once.")
        if values in ([], ["null"]):
            return None
        value = values[0]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if not value:
            raise UserError(f"{key}= has no value. Use {key}=PATH.")
        return value

    def others(self, *keys: str) -> list[str]:
        """Return the overrides of other keys than these."""
        return [text for text in self.overrides if text.partition("=")[0].lstrip("+") not in keys]


def parse_arguments(
    program: str, arguments: Sequence[str], flags_of_program: Sequence[str] | None = None, words: Sequence[str] = ()
) -> CommandLine:
    """Return the command line; every flag that cannot be is reported.

    `flags_of_program` are the flags that the program takes besides --help and --version (None: all of mtl-train), and
    `words` the keys that are its own: hints name nothing else.

    Raises:
        UserError: unknown flags, flags without their value.
    """
    flags: dict[str, str] = {}
    overrides: list[str] = []
    problems: list[str] = []
    rest = list(arguments)
    while rest:
        text = rest.pop(0)
        if not text.startswith("-"):
            overrides.append(text)
            continue
        name, has_value, value = text.partition("=")
        name = FLAGS.get(name, name)
        if name in SWITCHES and not has_value:
            flags[name] = ""
        elif name == "--info":
            flags[name] = value if has_value else rest.pop(0) if rest and rest[0] in INFO else "all"
        elif name in TAKES_VALUE and (has_value or (rest and not rest[0].startswith("-"))):
            flags[name] = value if has_value else rest.pop(0)
        else:
            known = [*SWITCHES, *TAKES_VALUE, "--info"] if flags_of_program is None else flags_of_program
            problems.append(_flag_message(text, name, [*known, "--help", "--version"]))
            if problem := _meant(program, text, rest, words, flags):
                problems[-1] = problem
    problems += _misfits(flags)
    if problems:
        raise UserError(problems)
    return CommandLine(program, tuple(arguments), flags, tuple(overrides))


def _meant(program: str, text: str, rest: list[str], words: Sequence[str], flags: Mapping[str, str]) -> str:
    """Return the message for a flag that stands for an override, and take its value from the `rest`; else nothing."""
    name, has_value, value = text.partition("=")
    given = value if has_value else rest[0] if rest and not rest[0].startswith("-") and "=" not in rest[0] else None
    folders = [Path(flags["--config-dir"])] if "--config-dir" in flags else []
    override = meant_override(name.lstrip("-"), given, None if program == "mtl-init" else folders, words)
    if override and given is not None and not has_value:
        text = f"{text} {rest.pop(0)}"
    return f"Unknown option {text}. Values are set without dashes: {override}." if override else ""


def _flag_message(text: str, name: str, known: Sequence[str]) -> str:
    if name in TAKES_VALUE:
        return f"{text} needs a value. Use for example {name} {'job' if name == '--cfg' else 'VALUE'}."
    if name in SWITCHES:
        return f"{text} gives a value to a switch. Use {name}."
    if name == "--config-path":
        return f"{text} would replace the conf files of this program. Add a folder of your own by --config-dir DIR."
    return f"Unknown option {text}.{nearest(name, known)} Values are set as key=value; --help shows them."


def _misfits(flags: dict[str, str]) -> list[str]:
    problems = []
    for name, choices in (("--cfg", CFG), ("--info", INFO)):
        if name in flags and flags[name] not in choices:
            hint = nearest(flags[name], choices)
            problems.append(f"{name} is '{flags[name]}'; it is one of {', '.join(choices)}.{hint}")
    modes = [name for name in ("--multirun", "--run", "--cfg", "--info", "--shell-completion") if name in flags]
    if len(modes) > 1:
        problems.append(f"{' and '.join(modes)} exclude each other. Give one of them.")
    problems += [
        f"{name} goes with --cfg only." for name in ("--package", "--resolve") if name in flags and "--cfg" not in flags
    ]
    return problems
