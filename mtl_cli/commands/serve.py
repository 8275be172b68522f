"""mtl-serve serves a bundle by HTTP; neither torch nor Hydra is imported for one in ONNX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.console import console
from mtl_cli.commands.program import Program
from mtl_cli.errors import EXIT_DONE, UserError, nearest

HELP = """\
Usage: mtl-serve bundle=DIR [port=8000] [key=value ...]

Serves a bundle of mtl-export: POST /predict takes rows as JSON or CSV, texts, sentences, arrays, or images as files,
and answers with every task's prediction. /health, /metrics (Prometheus) and /docs (OpenAPI) are beside it. Requests
that come at the same time go through the model together. SIGTERM lets it answer what has come, and then end.

  bundle=DIR          a bundle of mtl-export
  host=127.0.0.1      address to listen on; the default is this machine alone
  port=8000           port; 0 takes a free one
  max_rows=10000      rows of a request, at most
  max_mb=16           megabytes of a request, at most
  timeout_s=30        seconds that a client may take to send a request, and that it waits for an answer
  max_waiting=256     requests that wait, at most; further ones are told to come again (503)
  wait_ms=2           milliseconds that a request waits for others

  --version, --help

Examples:
  mtl-serve bundle=bundle port=8000
  curl -d '{"rows": [{"age": 40, "job": "chef"}]}' -H 'content-type: application/json' localhost:8000/predict
"""

NUMBERS: dict[str, tuple[Callable[[str], float], float, float]] = {
    "port": (int, 0, 65535), "max_rows": (int, 1, 1e9), "max_mb": (float, 0.001, 1e5), "timeout_s": (float, 0.1, 86400),
    "max_waiting": (int, 1, 1e6), "wait_ms": (float, 0, 1e4),
}  # fmt: skip
"""What a number is read as, and its least and greatest value."""


def command(line: CommandLine) -> int:
    """Serve the bundle that the command line names.

    Raises:
        UserError: a word is wrong, or the bundle cannot be served.
    """
    words = dict(text.partition("=")[::2] for text in line.overrides)
    values, problems = dict[str, Any](), list[str]()
    for key, text in words.items():
        if key in NUMBERS:
            values[key] = number(key, text, problems)
        elif key not in ("bundle", "host"):
            problems.append(f"mtl-serve has no '{key}'.{nearest(key, [*NUMBERS, 'bundle', 'host'])} See --help.")
    if problems:
        raise UserError(problems)
    with console():
        from mtl_cli.serving.limits import Limits
        from mtl_cli.serving.server import serve

        port = values.pop("port", 8000)
        serve(Path(words["bundle"]).expanduser(), words.get("host", "127.0.0.1"), port, Limits(**values))
    return EXIT_DONE


def number(key: str, text: str, problems: list[str]) -> float:
    """Return a number of the command line; what is wrong with it goes into `problems`."""
    kind, low, high = NUMBERS[key]
    try:
        value = kind(text)
        if low <= value <= high:
            return value
    except ValueError:
        pass
    word = "a whole number" if kind is int else "a number"
    problems.append(f"{key} is '{text}'; it is {word} from {low:g} to {high:g}.")
    return low


PROGRAM = Program(
    name="mtl-serve",
    help=lambda line: HELP,
    body=command,
    usage="mtl-serve bundle=DIR",
    needs=("bundle",),
    reads={"bundle": "a bundle of mtl-export: bundle=DIR"},
    flags=(),
)
