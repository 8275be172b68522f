"""The pages of documentation: their commands and files, and how they are run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from mtl_cli import cli

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXTENDING = ROOT / "mtl_cli" / "README.md"
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "mtl_cli").rglob("README.md")), ROOT / "scripts" / "README.md"]
assert len(PAGES) > 10
BLOCK = re.compile(r"^```(?P<head>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRAMS = {
    "mtl-train": cli.main, "mtl-eval": cli.main_eval, "mtl-predict": cli.main_predict, "mtl-init": cli.main_init,
    "mtl-report": cli.main_report, "mtl-explain": cli.main_explain, "mtl-export": cli.main_export,
    "mtl-serve": cli.main_serve,
    "mtl-affinity": cli.main_affinity,
}  # fmt: skip


def blocks(page=README):
    return [(match["head"].strip(), match["text"]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def commands(page=README):
    lines = [line for head, text in blocks(page) if not head for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("mtl-", "python "))]


def write_files(folder):
    for head, text in blocks(EXTENDING):
        if " " in head:
            path = folder / head.split(" ", 1)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def run_page(folder, scripts=("generate_examples.py",), **further):
    """Run scripts, then the commands of a page one after the other, with `further` words by program: train=[…]."""
    for script in scripts:
        subprocess.run([sys.executable, ROOT / "scripts" / script], check=True, capture_output=True)
    for program, *arguments in commands(ROOT / "mtl_cli" / folder / "README.md"):
        words = [*arguments, *further.get(program.removeprefix("mtl-"), [])]
        assert PROGRAMS[program](words) == 0, words
