"""Running mtl-init on sets of sounds and of images: what it printed and wrote, and a short run of its command."""

import re
import shlex
from pathlib import Path

from mtl_cli import cli

SMALL = ["trainer.max_epochs=1", "trainer.device=cpu", "trainer.precision=fp32", "quiet=true"]
REPLACED = ("trainer.max_epochs", "data.batch_size")


def init(capsys, *words):
    """Run mtl-init; return what it printed."""
    assert cli.main_init([*words, "output=conf"]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def printed(out):
    """Return the words of the command that was printed."""
    (line,) = re.findall(r"^  (mtl-train .*)$", out, re.MULTILINE)
    return shlex.split(line)[1:]


def train(out, *more, without=()):
    """Run that command for one epoch, `without` its words that begin so."""
    command = [word for word in printed(out) if not word.startswith((*REPLACED, *without))]
    assert cli.main([*command, *SMALL, *more, "hydra.run.dir=run"]) == 0


def yaml_of(folder, name):
    """Return a file that was written."""
    return Path(folder, "conf", name).read_text()
