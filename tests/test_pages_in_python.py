"""The examples in Python of the pages run, one after the other."""

import pytest

from tests.test_readme import PAGES, ROOT, blocks


def examples(page):
    return [text for head, text in blocks(page) if head == "python"]


FULL = [ROOT / "mtl_cli" / "api" / "README.md"]
"""Pages whose examples stand on their own."""


@pytest.mark.parametrize("page", FULL, ids=lambda page: page.parent.name)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch, capsys):
    assert page in PAGES
    assert len(examples(page)) > 1
    monkeypatch.chdir(tmp_path)
    names = {}
    for text in examples(page):
        exec(compile(text, str(page), "exec"), names)
    assert "letters_prediction" in capsys.readouterr().out
