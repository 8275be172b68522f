"""What the READMEs show works as it is shown, and what they link to exists."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtl_cli import cli
from mtl_cli.config.shipped import conf_dir, group_options
from tests._pages import BLOCK, EXTENDING, PAGES, PROGRAMS, README, ROOT, commands, write_files

LINK = re.compile(r"\]\((?P<path>[^)#\s]*)#?(?P<heading>[^)\s]*)\)")


def test_own_parts_train_evaluate_and_resume(tmp_path, monkeypatch, capsys):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (own,) = [words for words in commands(EXTENDING) if "weighting=worst" in words]
    assert cli.main([*own[1:], "hydra.run.dir=run"]) == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["test"]["inside/accuracy"] > 0.9
    assert summary["test"]["right/accuracy"] > 0.9
    assert cli.main_eval(["checkpoint=run"]) == 2
    assert "trust=[my_parts]" in capsys.readouterr().err
    assert cli.main_eval(["checkpoint=run", "trust=[my_parts]"]) == 0
    assert cli.main(["resume=run", "trust=[my_parts]", "trainer.max_epochs=21"]) == 0


def needs_files(words):
    """Whether a command works on what other commands have left."""
    return words[0] != "mtl-train" or any(word.startswith(("--config-dir", "resume=")) for word in words)


def composable():
    """Return the mtl-train commands of all pages that need no file; without sweeps, which --cfg does not take."""
    chosen = [words for page in PAGES for words in commands(page) if not needs_files(words)]
    assert len(chosen) > 10
    return [
        [word for word in words[1:] if word != "-m" and not re.search(r"=[^\[{]*,|^search", word)] for words in chosen
    ]


@pytest.mark.parametrize("arguments", composable(), ids=" ".join)
def test_every_train_command_composes(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--cfg", "job", *arguments]) == 0


def test_the_commands_of_the_first_successes_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = [words for words in commands() if needs_files(words)]
    wanted = {"python", "mtl-init", "mtl-train", "mtl-eval", "mtl-predict", "mtl-report"}
    assert {words[0] for words in chosen} == wanted
    for program, *arguments in chosen:
        if program == "python":
            subprocess.run([sys.executable, ROOT / arguments[0], *arguments[1:]], check=True, capture_output=True)
            continue
        steps = 2 if "-m" in arguments else 12 if "resume=runs/patients" in arguments else 8
        shorter = [word.replace("seed=0,1,2", "seed=0") for word in arguments]
        shorter += [f"trainer.max_steps={steps}"] if program == "mtl-train" else []
        assert PROGRAMS[program](shorter) == 0, shorter
    summary = json.loads((tmp_path / "runs" / "patients" / "summary.json").read_text())
    assert {"diagnosis/accuracy", "stay/rmse", "months_died/concordance"} <= set(summary["test"])
    assert (tmp_path / "predicted.csv").read_text().count("\n") == 12_001
    (table,) = (tmp_path / "runs" / "sweeps").glob("*/summary.csv")
    assert len(table.read_text().splitlines()) == 1 + 3


@pytest.mark.slow
def test_the_sweep_of_weights_runs(tmp_path):
    words = next(words for words in commands() if "tasks.letters.weight=0.1,0.3,1,3" in words)
    command = [Path(sys.executable).parent / words[0], *words[1:], "trainer.max_steps=3", "hydra.sweep.dir=sweep"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "sweep" / "summary.csv").read_text().splitlines()) == 5


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    links = [match for match in LINK.finditer(text) if not match["path"].startswith(("http:", "https:"))]
    for match in links:
        target = page.parent / match["path"] if match["path"] else page
        assert target.exists(), match[0]
        assert not match["heading"] or match["heading"] in anchors(target), match[0]


def test_links_are_found():
    assert len(LINK.findall(README.read_text(encoding="utf-8"))) > 20


def test_the_readme_is_short_and_names_options_that_exist():
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    rows = re.findall(r"^\| `(\w+)=` \|(.*?)\|", text, re.MULTILINE)
    options = group_options([conf_dir()])
    assert {"task", "backbone", "sharing", "weighting"} <= {group for group, _ in rows}
    for group, row in rows:
        named = re.findall(r"`(\w+)`", row)
        assert named
        assert set(named) <= set(options[group]), group


def test_the_readme_has_a_line_for_every_folder():
    text = README.read_text(encoding="utf-8").partition("## Where things are")[2]
    folders = [path.parent.name for path in (ROOT / "mtl_cli").glob("*/__init__.py")]
    assert len(folders) > 15
    assert [name for name in folders if f"{name}/`" not in text] == []
