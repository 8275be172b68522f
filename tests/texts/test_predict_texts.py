"""mtl-predict on texts and sentences: every row and line comes back with the predictions beside."""

import csv
import json

import pytest

from mtl_cli.errors import UserError
from mtl_cli.runs import evaluation
from mtl_cli.runs.predict import predict
from tests.tables._files import write_csv
from tests.texts import _grammars
from tests.texts._files import CONLLU, write
from tests.texts._runs import backbone, dataset, node, train

RUN = {"optimizer__lr": 0.01, "trainer__log_every": 1000}
GRU = {"embedding": 16, "width": 16, "num_layers": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on texts and one on sentences, whose data are gone afterwards; words are tagged by the lower layer."""
    folder = tmp_path_factory.mktemp("texts")
    texts = write_csv(folder / "texts.csv", _grammars.HEADER, _grammars.text_table(250, 0))
    words = write(folder / "words.conll", _grammars.conll_text(250, 1))
    on_texts = dataset(
        "text", texts, {"topic": {"kind": "class", "column": "topic"}, "score": {"kind": "real", "column": "score"}}
    )
    on_words = dataset("conll", words, {"tag": {"column": "tag"}}, columns=["word", "tag", "span"], batch_size=8)
    tasks = {
        "topic": node("class", "topic", on_texts), "score": node("real", "score", on_texts),
        "tag": node("tokens", "tag", on_words),
    }  # fmt: skip
    hierarchical = {"_target_": "mtl_cli.sharing.hierarchical.Hierarchical", "attach": {"tag": 1, "topic": "layer2"}}
    two = backbone("gru", **GRU | {"num_layers": 2})
    found = train(tasks, folder / "run", two, sharing=hierarchical, trainer__max_epochs=7, **RUN)["test"]
    assert found["tag/accuracy"] > 0.9
    assert found["topic/accuracy"] > 0.7
    texts.unlink()
    return folder / "run", words, found


def test_texts_come_back_with_predictions_whatever_the_format_and_batch_size(trained, tmp_path):
    rows = [[row[0], "kept as it is"] for row in _grammars.text_table(40, 5)]
    source = write_csv(tmp_path / "new.csv", ["text", "note"], rows)
    found = []
    for size in (7, 4096):
        assert predict(trained[0], source, tmp_path / "out.csv", {"batch_size": size}) == 40
        with (tmp_path / "out.csv").open(newline="") as lines:
            found.append(list(csv.DictReader(lines)))
    assert [[row["text"], row["note"]] for row in found[0]] == rows
    assert {row["topic_prediction"] for row in found[0]} <= {"people", "objects", "none"}
    assert [row["topic_prediction"] for row in found[0]] == [row["topic_prediction"] for row in found[1]]
    objects = [{"text": row[0], "note": {"nested": [1, None]}, "n": 1.0} for row in rows]
    lines = write(tmp_path / "new.jsonl", "".join(json.dumps(each) + "\n" for each in objects))
    assert predict(trained[0], lines, tmp_path / "out.jsonl", {}) == 40
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in ("text", "note", "n")} for row in written] == objects
    for row, other in zip(written, found[0], strict=True):
        assert row["topic_prediction"] == other["topic_prediction"]
        assert row["score_prediction"] == pytest.approx(float(other["score_prediction"]), abs=1e-4)


def test_words_come_back_as_conll_line_for_line(trained, tmp_path):
    folder, words, _ = trained
    extra = "-DOCSTART- -X- O\n\n# a comment\n" + words.read_text() + "\n\nlast\tw\tO"
    source = write(tmp_path / "new.conll", extra, end="\r\n")
    count = sum(1 for line in words.read_text().splitlines() if line) + 1
    for size in (3, 4096):
        assert predict(folder, source, tmp_path / "out.conll", {"batch_size": size}) == count
        out = (tmp_path / "out.conll").read_text().splitlines()
        assert len(out) == len(extra.splitlines())
        right = []
        for line, other in zip(out, extra.splitlines(), strict=True):
            if not other or other.startswith("# a"):
                assert line == other
            elif other.startswith("-DOCSTART-"):
                assert line.startswith(other)
            else:
                assert line.startswith(f"{other}\t")
                assert 0 < float(line.split("\t")[-1]) <= 1
                right.append(line.split("\t")[3] == other.split("\t")[1])
        assert sum(right) / len(right) > 0.9


def test_predicted_words_are_those_of_the_evaluation(trained, tmp_path):
    folder, words, _ = trained
    told = evaluation.evaluate_checkpoint(folder, {
        "tasks.tag.dataset.test_path": str(words), "tasks.topic.dataset.path": str(
        write_csv(tmp_path / "texts.csv", _grammars.HEADER, _grammars.text_table(250, 0))),
        "tasks.score.dataset.path": str(tmp_path / "texts.csv")}, [])  # fmt: skip
    predict(folder, words, tmp_path / "out.conll", {})
    cells = [line.split("\t") for line in (tmp_path / "out.conll").read_text().splitlines() if line]
    assert sum(row[1] == row[3] for row in cells) / len(cells) == pytest.approx(
        told["metrics"]["tag/accuracy"], abs=1e-6
    )


def test_conllu_comes_back_with_lines_that_are_no_words(tmp_path):
    source = write(tmp_path / "train.conllu", CONLLU * 8)
    tasks = {"pos": node("tokens", "pos", dataset("conll", source, {"pos": {"column": "upos"}}))}
    train(tasks, tmp_path / "run", backbone("gru", **GRU), trainer__max_epochs=1, **RUN)
    new = write(tmp_path / "new.conllu", CONLLU)
    assert predict(tmp_path / "run", new, tmp_path / "out.conllup", {}) == 6
    first, *out = (tmp_path / "out.conllup").read_text().splitlines()
    assert first.startswith("# global.columns = ID FORM")
    assert first.endswith(" MISC pos_prediction pos_probability")
    assert len(out) == len(CONLLU.splitlines())
    for line, other in zip(out, CONLLU.splitlines(), strict=True):
        assert line.startswith(other)
        if other.startswith(("1-2", "3.1")):
            assert line == f"{other}\t_\t_"
    assert predict(tmp_path / "run", tmp_path / "out.conllup", tmp_path / "again.conllup", {}) == 6


def test_a_file_without_the_text_and_a_wrong_output_are_told(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", ["Text"], [["a"]])
    with pytest.raises(UserError, match=r"has no column 'text'\. Did you mean 'Text'"):
        predict(trained[0], source, tmp_path / "out.csv", {})
    words = write(tmp_path / "new.conll", "a\tb\tc\n")
    with pytest.raises(UserError, match="the input itself"):
        predict(trained[0], words, words, {})
    lines = write(tmp_path / "new.jsonl", '{"text": "a"}\n')
    with pytest.raises(UserError, match=r"Give output=out\.jsonl"):
        predict(trained[0], lines, tmp_path / "out.csv", {})


def test_two_runs_are_equal_to_the_last_digit(tmp_path):
    words = write(tmp_path / "words.conll", _grammars.conll_text(60, 1))
    targets = {"tag": {"column": "tag"}, "span": {"column": "span"}}
    on = dataset("conll", words, targets, columns=["word", "tag", "span"])
    tasks = {task: node("tokens", task, on) for task in targets}
    small = backbone("transformer", width=16, num_layers=1)
    for name in ("one", "two"):
        train(tasks, tmp_path / name, small, **RUN)
    assert (tmp_path / "one/metrics.jsonl").read_bytes() == (tmp_path / "two/metrics.jsonl").read_bytes()
