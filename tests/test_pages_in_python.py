"""The examples of pages that stand on their own run, one after the other: commands, and Python."""

import shlex

import pytest

from tests._pages import PAGES, PROGRAMS, ROOT, blocks

OWN = {"api": "letters_prediction", "export": "validation rows within"}
"""Pages whose examples need nothing before them, and a part of what they print."""


@pytest.mark.slow
@pytest.mark.parametrize("folder", OWN)
def test_the_examples_of_a_page_run(folder, tmp_path, monkeypatch, capsys):
    page = ROOT / "mtl_cli" / folder / "README.md"
    assert page in PAGES
    monkeypatch.chdir(tmp_path)
    names, count = {}, 0
    for head, text in blocks(page):
        if head == "python":
            exec(compile(text, str(page), "exec"), names)
            count += 1
        for line in text.splitlines() if not head else ():
            program, *words = shlex.split(line, comments=True)
            assert PROGRAMS[program](words) == 0, line
            count += 1
    assert count > 2
    assert OWN[folder] in capsys.readouterr().out
