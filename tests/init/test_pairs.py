"""mtl-init on pairs of texts, from the command line to a run, its predictions and its evaluation."""

import csv
import importlib.util
import random
from pathlib import Path

import pytest

import mtl_cli.texts
from mtl_cli import cli
from mtl_cli.init.pair_advice import advise_pairs, repeated
from tests._pages import PROGRAMS, blocks, commands
from tests.init._looking import dataset, look, refused, task, train
from tests.tables._files import write_csv

NOUNS = {"cat": ("Katze", "chat"), "dog": ("Hund", "chien"), "house": ("Haus", "maison"), "tree": ("Baum", "arbre")}
VERBS = {"see": ("sehe", "vois"), "want": ("will", "veux"), "draw": ("male", "dessine")}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sentences(rows=60):
    stream = random.Random(0)
    found = []
    for row in range(rows):
        noun, verb, number = stream.choice(list(NOUNS)), stream.choice(list(VERBS)), stream.randint(1, 99)
        one, other = (
            f"{pronoun} {VERBS[verb][k]} {number} {NOUNS[noun][k]}" for k, pronoun in enumerate(("ich", "je"))
        )
        found.append((f"I {verb} {number} {noun}", "" if row % 9 == 0 else one, other))
    return found


def test_pairs_are_found_trained_predicted_and_evaluated_by_the_printed_commands(capsys):
    write_csv(Path("pairs.tsv"), ["en", "de", "fr"], sentences(), delimiter="\t")
    out = look(capsys, "[de,fr]", "source=en", source="pairs.tsv")
    assert "de: a text that is written, of column de: 53 texts" in out
    assert "7 of 60 empty, which are missing labels" in out
    assert dataset("pairs")["source"] == "en"
    assert dataset("pairs")["tokenizer"] == "bpe"
    assert task("de")["head"]["copy"] is True
    wanted = "chrf" if importlib.util.find_spec("sacrebleu") else "exact_match"
    assert task("fr")["metrics"][0] == wanted
    train(capsys, out, "trainer.max_epochs=2")
    assert cli.main_predict(["checkpoint=run", "input=pairs.tsv", "output=out.tsv", "quiet=true"]) == 0
    with Path("out.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["en"] for row in rows] == [row[0] for row in sentences()]
    assert all({"de_prediction", "fr_prediction"} <= set(row) for row in rows)
    Path("new.txt").write_text("I see 3 trees\nI want 4 dogs\n")
    assert cli.main_predict(["checkpoint=run", "input=new.txt", "output=new.tsv", "quiet=true"]) == 0
    assert Path("new.tsv").read_text().splitlines()[1].startswith("I see 3 trees\t")
    capsys.readouterr()
    assert cli.main_eval(["checkpoint=run"]) == 0
    printed = capsys.readouterr()
    assert "reference  " in printed.out + printed.err


def test_the_page_on_texts_that_are_written_works_as_it_is_shown(capsys):
    write_csv(Path("pairs.tsv"), ["en", "de", "fr"], sentences(), delimiter="\t")
    page = Path(mtl_cli.texts.__path__[0], "README.md")
    lines = commands(page)
    assert [words[0] for words in lines] == ["mtl-init", "mtl-train", "mtl-predict", "mtl-eval"]
    for words in lines:
        short = ["trainer.max_epochs=1", "trainer.device=cpu"] if words[0] == "mtl-train" else []
        assert PROGRAMS[words[0]]([*words[1:], *short]) == 0, capsys.readouterr().err
    [text] = [text for head, text in blocks(page) if head == "yaml" and "again:" in text]
    Path("conf/task/again.yaml").write_text(text.split("\n", 1)[1])
    with Path("conf/dataset/pairs.yaml").open("a") as file:
        file.write("hidden: 0.2\n")
    words = ["--config-dir", "conf", "task=de+again", "backbone=gru", "hydra.run.dir=more", "trainer.max_epochs=1"]
    assert cli.main([*words, "trainer.device=cpu"]) == 0, capsys.readouterr().err


def test_files_of_lines_are_pairs(capsys):
    for column, name in enumerate(("en", "de", "fr")):
        Path(f"train.{name}").write_text("".join(f"{row[column]}\n" for row in sentences()))
    out = look(capsys, "[de]", "source=en", source="train.en")
    assert "lines of train.en, train.de, side by side" in out
    train(capsys, out)
    assert "no file train.es" in refused_elsewhere(capsys, "[es]", "source=en", source="train.en")


def refused_elsewhere(capsys, target, *words, source):
    assert cli.main_init([f"input={source}", f"target={target}", "output=other", *words]) == 2
    assert not Path("other").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "words", "message"),
    [
        ("[de]", ["source=english"], "has no column 'english'"),
        ("[german]", ["source=en"], "has no column 'german'"),
        ("[en]", ["source=en"], "Column 'en' is source= and in target="),
        ("[de+fr]", ["source=en"], "a text that is written is one column"),
        ("[de]", ["source=en", "text=en"], "text=en does not apply beside source="),
        ("[de]", ["source=3"], "source is 3; it is a text"),
        ("[none]", ["source=en"], "column 'none' has no text in any row"),
    ],
)
def test_what_cannot_be_is_refused(capsys, target, words, message):
    write_csv(Path("pairs.csv"), ["en", "de", "fr", "none"], [(*row, " ") for row in sentences()])
    assert message in refused(capsys, target, *words, source="pairs.csv")


def test_a_column_of_splits_divides_the_rows(capsys):
    rows = [(*row, ("train", "val", "test")[max(0, k % 6 - 3)]) for k, row in enumerate(sentences())]
    write_csv(Path("pairs.csv"), ["en", "de", "fr", "split"], rows)
    look(capsys, "[de]", "source=en", source="pairs.csv")
    assert dataset("pairs")["split_column"] == "split"


def test_words_that_repeat_themselves_are_learnt_and_others_are_spelt():
    stream = random.Random(0)
    strange = ["".join(stream.choices("abcdefghijklm", k=stream.randint(3, 8))) for _ in range(200)]
    backwards = advise_pairs(strange, {"back": [text[::-1] for text in strange]})
    assert backwards.options["tokenizer"].value == "characters"
    assert backwards.metrics[0] == "exact_match"
    english, german, _ = zip(*sentences(200), strict=True)
    assert advise_pairs(english, {"de": german}).options["tokenizer"].value == "bpe"
    assert repeated(["12 7", "9"]) == 1.0
    assert repeated(["a b", "a c"]) == 0.5


def test_rows_of_one_source_stay_in_one_split_and_a_column_that_parts_them_is_told(capsys):
    rows = [(*sentences()[row % 20], ("train", "val", "test")[row % 3]) for row in range(60)]
    write_csv(Path("pairs.tsv"), ["en", "de", "fr"], [row[:3] for row in rows], delimiter="\t")
    out = look(capsys, "[fr]", "source=en", source="pairs.tsv")
    assert "all rows of one en are in one split" in out
    assert dataset("pairs")["group_column"] == "en"
    train(capsys, out)
    write_csv(Path("pairs.tsv"), ["en", "de", "fr", "split"], rows, delimiter="\t")
    out = look(capsys, "[fr]", "source=en", source="pairs.tsv")
    assert "look at this: 20 different sources are in several splits" in out
    assert "group_column" not in dataset("pairs")


def test_a_source_of_many_characters_is_read_and_few_rows_get_many_passes():
    few = advise_pairs(["a b c"] * 40, {"de": ["d e"] * 40}).overrides
    assert (few["trainer.max_epochs"].value, few["trainer.max_epochs"].why) == ("800", "800 steps or so")
    short = advise_pairs(["one hundred"] * 3000, {"digits": ["100"] * 3000}).overrides
    assert (short["trainer.max_epochs"].value, short["trainer.eval_every"].value) == ("69", "3")
    long = advise_pairs(["word " * 200, "a b"] * 30, {"de": ["wort", "c"] * 30})
    assert int(long.options["max_length"].value) >= 1000
    very = advise_pairs(["word " * 2000, "a b"] * 30, {"de": ["wort", "c"] * 30})
    assert "max_length" not in very.options
    assert any("dataset.cut=true" in hint for hint in very.training.hints)
