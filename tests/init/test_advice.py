"""Every way out that a message of mtl-init proposes is tried: put into the command, the message is gone."""

import re

import pytest
from PIL import Image

from mtl_cli import cli
from tests._advice import advice, with_advice

ROWS = range(40)
FILES = {
    "table.csv": ["a,b,y,z", *(f"{i % 7 + 0.5},{'rgb'[i % 3]},{'yn'[i % 2]},{i / 3:.2f}" for i in ROWS)],
    "comma.csv": ["a,y", *(f'"{i % 9 + 1},{100 + i}",{"yn"[i % 2]}' for i in ROWS)],
    "dates.csv": ["a,y", *(f"{i % 12 + 1:02}/{i % 11 + 1:02}/2012,{'yn'[i % 2]}" for i in ROWS)],
    "orders.csv": [
        "a,b,y",
        *(f"{i % 28 + 1:02}/{i % 12 + 1:02}/2012,{i % 12 + 1:02}/{i % 28 + 1:02}/2012,{'yn'[i % 2]}" for i in ROWS),
    ],
    "case.csv": ["a,y", *(f"{i},{('Yes', 'yes', 'no')[i % 3]}" for i in ROWS)],
    "words.conll": [f"w{i % 9} {'AB'[i % 2]} {'CD'[i % 2]}{'' if i % 5 else chr(10)}" for i in ROWS],
    "pairs.tsv": ["en\tde\tfr", *(f"one {i % 7} two\teins {i % 7} zwei\tun {i % 7} deux" for i in ROWS)],
    "pictures/t.csv": ["image,kind,size", *(f"{i}.png,{'yn'[i % 2]},{i / 3:.2f}" for i in ROWS)],
    "two/a.csv": ["a,y", *(f"{i},{'yn'[i % 2]}" for i in ROWS)],
    "two/b.csv": ["a,y", *(f"{i},{'yn'[i % 2]}" for i in ROWS)],
}
OUT = "output=conf"
CASES = {
    "no target of a table": (["input=table.csv", OUT], "No target is given", {"income,married": "y,z"}),
    "no target of images": (["input=pictures/t.csv", OUT], "No target is given", {"income,married": "kind,size"}),
    "a name that is none": (["input=table.csv", "target=[y]", "name=3x", OUT], "name is '3x'", {}),
    "words joined": (
        ["input=words.conll", "target=[a+b]", "columns=[word,a,b]", OUT], "labels of words are one column each", {},
    ),
    "the folder is taken": (["input=table.csv", "target=[y]", "output=taken"], "would be overwritten", {"DIR": "new"}),
    "no folder can be made": (
        ["input=table.csv", "target=[y]", "output=table.csv/x"], "Cannot make the conf folder", {"DIR": "new"},
    ),
    "a comma of two meanings": (["input=comma.csv", "target=[y]", OUT], "may stand before a fraction", {}),
    "days or months": (["input=dates.csv", "target=[y]", OUT], "day or month may come first", {}),
    "both orders": (["input=orders.csv", "target=[y]", OUT], "the day comes first in the dates of", {}),
    "classes but for case": (["input=case.csv", "target=[y]", OUT], "Join them", {}),
    "texts joined": (["input=pairs.tsv", "target=[de+fr]", "source=en", OUT], "is one column", {}),
    "two tables": (["input=two", "target=[y]", OUT], "two", {"FILE": "two/a.csv"}),
}  # fmt: skip
"""Commands, what their message says, and what fills its placeholders."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, lines in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    for number in ROWS:
        Image.new("L", (8, 8), number).save(tmp_path / "pictures" / f"{number}.png")
    assert cli.main_init(["input=table.csv", "target=[y]", "output=taken"]) == 0
    (tmp_path / "taken" / "task" / "y.yaml").write_text("# another\n")
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_what_a_message_of_mtl_init_proposes_works(case, folder, capsys):
    words, said, fill = CASES[case]
    capsys.readouterr()
    cli.main_init(words)
    text = "".join(capsys.readouterr())
    assert said in text
    problem = next(line for line in text.replace("\n  ", " ").splitlines() if said in line)
    ways = advice(problem)
    assert ways, problem
    for number, way in enumerate(ways):
        for name, value in fill.items():
            way = [re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", value, word) for word in way]
        way = [word for word in way if not word.startswith("++")]
        if not way:  # an override of mtl-train
            continue
        again = with_advice(words, way, problem)
        again = [f"output=again{number}" if word == OUT else word for word in again]
        assert cli.main_init(again) == 0, (again, capsys.readouterr().err)
        assert problem not in "".join(capsys.readouterr()), again
