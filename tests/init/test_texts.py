"""mtl-init on texts and on labelled words, from the command line to a run and its predictions."""

import json
import random
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mtl_cli import cli
from mtl_cli.init.advice import advise_texts, advise_words
from mtl_cli.init.conll_looking import looks_like_words
from mtl_cli.init.running_text import running_text
from mtl_cli.init.scripts import count_words, script_shares
from mtl_cli.tables.reading import ReadOptions, TableFile
from tests.tables._files import write_csv
from tests.texts import _grammars
from tests.texts._files import CONLLU, ENTITIES, write

FILLER = [
    "the",
    "a",
    "we",
    "it",
    "was",
    "with",
    "came",
    "from",
    "shop",
    "friend",
    "again",
    "yesterday",
    "really",
    "and",
    "but",
    "quite",
]
CHINESE = ["我", "买", "的", "这个", "东西", "昨天", "收到", "质量", "物流", "包装", "价格", "颜色"]
GOOD = {True: (["great", "lovely"], ["很好", "喜欢"]), False: (["awful", "broken"], ["失望", "太差"])}


def sentence(stream, good, words=FILLER, marks=0, between=" "):
    """A text of 5 to 12 words of no meaning and two that tell whether it is good."""
    found = [stream.choice(words) for _ in range(stream.randint(5, 12))]
    for _ in range(2):
        found.insert(stream.randrange(len(found) + 1), stream.choice(GOOD[good][marks]))
    return between.join(found)


def reviews(count=300, **changes):
    stream = random.Random(0)
    goods = [stream.random() < 0.5 for _ in range(count)]
    return [
        [index, sentence(stream, good, **changes), "good" if good else "bad", 4 * good + 1, stream.choice([9.5, 7.25])]
        for index, good in enumerate(goods)
    ]


HEADER = ["id", "review", "mood", "stars", "price"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", HEADER, reviews())
    return tmp_path


def init(*words):
    return cli.main_init(["output=my_conf", *words])


def dataset(name="data"):
    with open(f"my_conf/dataset/{name}.yaml", encoding="utf-8") as lines:
        return yaml.safe_load(lines)


def task(name):
    with open(f"my_conf/task/{name}.yaml", encoding="utf-8") as lines:
        return yaml.safe_load(lines)["tasks"][name]


def train(task, *words, run="run"):
    return cli.main(
        [f"task={task}", "--config-dir", "my_conf", f"hydra.run.dir={run}", "trainer.device=cpu", "quiet=true", *words]
    )


def summary(run="run"):
    with open(f"{run}/summary.json") as lines:
        return json.load(lines)["test"]


def told(command_of):
    """The words of the command that the report prints."""
    line = next(line for line in command_of.splitlines() if line.strip().startswith("mtl-train"))
    return line.split()[1:]


def test_the_printed_command_trains_on_texts_and_predicts(folder, capsys):
    assert init("input=data.csv", "target=[mood,stars]") == 0
    out = capsys.readouterr().out
    node = dataset()
    assert node["defaults"] == ["text", "_self_"]
    assert node["text"] == "review"
    assert [task(name)["_target_"].rpartition(".")[2] for name in ("mood", "stars")] == ["Binary", "Binary"]
    assert node["stratify"] == "mood"
    assert node["numeric"] == ["price"]
    assert "left out id: it counts the rows" in out
    assert "# left out: id: it counts the rows" in (folder / "my_conf/dataset/data.yaml").read_text()
    words = told(out)
    assert words[:3] == ["--config-dir", "my_conf", "task=mood+stars"]
    small = ["backbone.width=16", "backbone.embedding=16", "trainer.max_epochs=20", "optimizer.lr=0.01", "quiet=true"]
    assert cli.main([*words, *small, "hydra.run.dir=run", "trainer.device=cpu"]) == 0, capsys.readouterr().err
    assert summary()["mood/accuracy"] > 0.9
    objects = [{"review": "it was great really lovely", "price": 9.5}, {"review": "awful and broken again"}]
    write(folder / "new.jsonl", "".join(json.dumps(each) + "\n" for each in objects))
    assert cli.main_predict(["checkpoint=run", "input=new.jsonl", "output=out.jsonl", "quiet=true"]) == 0
    found = [json.loads(line)["mood_prediction"] for line in (folder / "out.jsonl").read_text().splitlines()]
    assert found == ["good", "bad"]


def test_labels_that_are_shuffled_are_not_learnt(folder):
    rows = reviews()
    moods = [row[2] for row in rows]
    random.Random(1).shuffle(moods)
    write_csv(folder / "data.csv", HEADER, [[*row[:2], mood, *row[3:]] for row, mood in zip(rows, moods, strict=True)])
    assert init("input=data.csv", "target=mood") == 0
    small = ["backbone=gru", "backbone.width=16", "data.batch_size=32", "trainer.max_epochs=20", "optimizer.lr=0.01"]
    assert train("mood", *small) == 0
    assert summary()["mood/accuracy"] < 0.75


def test_one_column_of_text_is_found_in_every_format(folder, capsys):
    rows = [dict(zip(HEADER, row, strict=True)) for row in reviews()]
    objects = [{**row, "tags": ["a", "b"], "meta": {"x": 1}} for row in rows]
    write(folder / "data.jsonl", "".join(json.dumps(each) + "\n" for each in objects))
    columns = {name: [row[name] for row in rows] for name in HEADER}
    columns["review"] = pa.array(columns["review"]).dictionary_encode()
    pq.write_table(pa.table(columns), folder / "data.parquet")
    write_csv(folder / "data.tsv", HEADER, reviews(), delimiter="\t")
    written = set()
    for name in ("data.csv", "data.jsonl", "data.parquet", "data.tsv"):
        assert init(f"input={name}", "target=[mood]", "overwrite=true") == 0, capsys.readouterr().err
        node = dataset()
        assert node.pop("path") == name
        written.add(json.dumps(node, sort_keys=True))
    assert len(written) == 1


def test_texts_without_spaces_are_found_and_learnt(folder, capsys):
    rows = reviews(words=CHINESE, marks=1, between="")
    write_csv(folder / "data.csv", ["编号", "评论", "情感", "评分", "价格"], rows)
    assert init("input=data.csv", "target=['情感','评分']") == 0
    node = dataset()
    assert node["text"] == "评论"
    assert node["tokenizer"] == "bpe"
    assert [task(name)["column"] for name in ("target", "target_2")] == ["情感", "评分"]
    assert "Han 100%" in capsys.readouterr().out
    small = ["backbone=ngrams", "backbone.width=16", "data.batch_size=32", "trainer.max_epochs=20", "optimizer.lr=0.01"]
    assert train("target+target_2", *small) == 0
    assert summary()["target/accuracy"] > 0.9


@pytest.mark.parametrize(
    ("cells", "is_text"),
    [
        ([f"id-{n:03}" for n in range(60)], False),
        (["red", "green", "blue"] * 20, False),
        (["Some college, no degree at all", "Master of a trade or more"] * 30, False),
        ([f"Ada Lovelace {chr(97 + n % 10)}" for n in range(60)], False),
        ([f"{n}.{n} 17 2024 5 8" for n in range(60)], False),
        ([f"https://example.org/{n}/some/long/path-of-words" for n in range(60)], False),
        ([f"2024-01-{n % 28 + 1:02} 10:00" for n in range(60)], False),
        (["", None] * 30, False),
        ([f"北京{n}" for n in range(60)], False),
        ([f"this is the review number {n} of them" for n in range(60)], True),
        ([f"这个东西很好用我很喜欢第{n}次" for n in range(60)], True),
        ([f"この本はとても面白いです{n}" for n in range(60)], True),
        ([f"หนังสือเล่มนี้สนุกมากครับ{n}" for n in range(60)], True),
        ([f"هذا المنتج جيد جدا رقم {n}" for n in range(60)], True),
        ([f"המוצר הזה טוב מאוד מספר {n}" for n in range(60)], True),
        ([f"😀🔥💯😀 {n}" for n in range(60)], True),
        (
            [f"a longer text of several words {n}" if n % 4 == 0 else f"good {n % 3}" for n in range(60)],
            False,
        ),
        ([f"a text of several words indeed {n}" if n % 2 else "" for n in range(60)], True),
    ],
)
def test_running_text_is_told_from_names_and_categories(tmp_path, cells, is_text):
    path = write_csv(tmp_path / "data.csv", ["x", "y"], [[cell, n % 2] for n, cell in enumerate(cells)])
    found = running_text(TableFile(path, ReadOptions()), ["y"])
    assert [column.name for column in found] == (["x"] if is_text else [])


def test_a_file_of_names_and_categories_stays_a_table(folder):
    body = [[f"u{n}", "Rome" if n % 3 else "New York", n % 7, "yes" if n % 2 else "no"] for n in range(100)]
    write_csv(folder / "data.csv", ["user", "city", "visits", "left"], body)
    assert init("input=data.csv", "target=left") == 0
    assert dataset()["defaults"] == ["tabular", "_self_"]


def test_text_is_forced_and_forbidden(folder, capsys):
    assert init("input=data.csv", "target=mood", "text=null") == 0
    assert dataset()["defaults"] == ["tabular", "_self_"]
    assert "review" in dataset()["drop"]
    assert init("input=data.csv", "target=mood", "text=[review,id]", "overwrite=true") == 0
    assert dataset()["text"] == ["review", "id"]
    capsys.readouterr()
    for words, problem in (
        (["text=reviw"], "has no column 'reviw'. Did you mean 'review'?"),
        (["text=mood"], "Column 'mood' is the text and in target=, group=, split= or drop="),
        (["text=[review,review]"], "names a column twice"),
        (["columns=[a,b]"], "data.csv is a file of rows, so columns=['a', 'b'] does not apply"),
    ):
        assert init("input=data.csv", "target=mood", *words) == 2
        assert problem in capsys.readouterr().err


def test_table_columns_beside_the_text_are_sorted_by_kind(folder):
    stream = random.Random(3)
    extra = [
        [stream.choice(["?", 1, 2, 3]), stream.choice(["a", "b"]), f"2024-01-{stream.randint(10, 28)}", row[2] + "!",
         stream.choice([1, 2, "x", "y"])] for row in reviews()
    ]  # fmt: skip
    rows = [[*row, *more] for row, more in zip(reviews(), extra, strict=True)]
    write_csv(folder / "data.csv", [*HEADER, "gaps", "shop", "day", "copy", "mixed"], rows)
    assert init("input=data.csv", "target=mood") == 0
    node = dataset()
    assert node["numeric"] == ["price", "gaps", "day"]
    assert node["categorical"] == ["shop", "mixed"]
    assert "?" in node["missing_values"]
    told = (folder / "my_conf/dataset/data.yaml").read_text()
    assert "# left out: copy: it says the same as the target mood" in told
    assert "# left out: stars: it says the same as the target mood" in told
    assert train("mood", "backbone=gru", "backbone.width=16", "trainer.max_epochs=1", "data.batch_size=64") == 0


def test_empty_texts_are_told_and_a_column_of_them_refused(folder, capsys):
    rows = [[*row[:1], "" if index % 5 == 0 else row[1], *row[2:]] for index, row in enumerate(reviews())]
    write_csv(folder / "data.csv", HEADER, rows)
    assert init("input=data.csv", "target=mood") == 0
    assert "240 different texts in 300 rows" in (out := capsys.readouterr().out)
    assert "60 empty" in out
    write_csv(folder / "data.csv", HEADER, [[row[0], "", *row[2:]] for row in rows])
    assert init("input=data.csv", "target=mood", "text=review") == 2
    assert "the text (review) is empty" in capsys.readouterr().err


def test_the_length_covers_99_of_100_texts():
    texts = [" ".join(["word"] * (n % 100 + 1)) for n in range(1000)]
    advice = advise_texts([texts], {"Latin": 1.0}, 1000)
    assert advice.options["max_length"].value == "112"  # 99 pieces, as a multiple of 16
    twice = advise_texts([texts, texts], {"Latin": 1.0}, 1000)
    assert twice.options["max_length"].value == "208"  # 2 · 99 and the separator
    long = advise_texts([["word " * 5000] * 100], {"Latin": 1.0}, 100)
    assert long.options["max_length"].value == "512"
    assert "100.0% are cut" in long.options["max_length"].why
    many = advise_texts([["word " * 5000] * 100], {"Latin": 1.0}, 80_000)
    assert many.backbone.value == "text_cnn"


def test_scripts_and_sizes_choose_tokenizer_and_backbone():
    thai = advise_texts([["หนังสือเล่มนี้สนุกมากครับ"] * 50], {"Thai": 1.0}, 50)
    assert thai.options["tokenizer"].value == "characters"
    assert advise_texts([["หนังสือเล่มนี้สนุกมากครับ"] * 50], {"Thai": 1.0}, 80_000).options["tokenizer"].value == "bpe"
    many = advise_texts([["a few words here"] * 50], {"Latin": 1.0}, 80_000)
    assert many.backbone.value == "transformer"
    few = advise_texts([["a few words here"] * 50], {"Latin": 1.0}, 500)
    assert few.options["tokenizer"].value == "words"
    assert few.overrides[0] == "backbone=ngrams"
    assert "early_stopping.patience=20" in few.overrides
    assert int(many.training["trainer.max_epochs"].value if many.training else 3) < 100
    assert int(few.training["trainer.max_epochs"].value) > 100
    assert thai.overrides[:2] == ["backbone=ngrams", "backbone.longest=4"]
    assert advise_words([["สนุก", "มาก"]] * 9, {"Thai": 1.0}, 9).options["tokenizer"].value == "bpe"


@pytest.mark.parametrize(
    ("text", "words", "script"),
    [
        ("three words here 42", 3, "Latin"), ("我喜欢猫", 2, "Han"), ("ひらがな", 2, "Hiragana"),
        ("カタカナ", 2, "Katakana"), ("한국어 문장", 2, "Hangul"), ("три слова здесь", 3, "Cyrillic"),
        ("ไทยไทยกก", 2, "Thai"),
        ("😀 😀🔥", 3, "pictures"), ("17 2.5 --- !!", 0, None), ("", 0, None), ("naïve é", 2, "Latin"),
    ],
)  # fmt: skip
def test_words_and_scripts_as_counted_by_hand(text, words, script):
    assert count_words(text) == words
    assert next(iter(script_shares([text])), None) == script


def test_shares_of_scripts_add_up_and_do_not_depend_on_the_order():
    texts = ["ab 我喜欢", "кот 😀", "123", "אבג"]
    shares = script_shares(texts)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares == script_shares(texts[::-1])
    assert shares["Latin"] == pytest.approx(2 / 12)
    assert shares["Cyrillic"] == pytest.approx(3 / 12)


def test_labelled_words_from_a_file_to_a_run_and_its_predictions(folder, capsys):
    write(folder / "words.conll", _grammars.conll_text(250, 1))
    assert init("input=words.conll", "target=[pos,ner]") == 0
    out, node = capsys.readouterr().out, dataset("words")
    assert node["columns"] == ["word", "pos", "ner"]
    assert yaml.safe_load((folder / "my_conf/task/ner.yaml").read_text())["tasks"]["ner"]["spans"] == "conll"
    assert yaml.safe_load((folder / "my_conf/task/pos.yaml").read_text())["tasks"]["pos"]["spans"] == "none"
    lines = [line.split("\t") for line in (folder / "words.conll").read_text().splitlines() if line]
    assert f"words.conll: 250 sentences, {len(lines)} words, 3 columns (conll, utf-8)" in out
    tags = [line[1] for line in lines]
    most = max(set(tags), key=tags.count)
    assert f"pos: {most} {tags.count(most)} ({tags.count(most) / len(tags):.1%})" in out
    assert "sharing=hierarchical 'sharing.attach={pos: 1, ner: 2}'" in out
    words = told(out)
    small = ["backbone.width=16", "backbone.embedding=16", "trainer.max_epochs=30", "optimizer.lr=0.02", "quiet=true"]
    deep = ["sharing=hierarchical", "sharing.attach={pos: 1, ner: 2}", "hydra.run.dir=run", "trainer.device=cpu"]
    assert cli.main([*words, *small, *deep]) == 0, capsys.readouterr().err
    assert summary()["pos/accuracy"] > 0.95
    assert summary()["ner/span_f1"] > 0.9
    write(folder / "new.conll", _grammars.conll_text(20, 9))
    assert cli.main_predict(["checkpoint=run", "input=new.conll", "output=out.conll", "quiet=true"]) == 0
    rows = [line.split("\t") for line in (folder / "out.conll").read_text().splitlines() if line]
    assert sum(row[1] == row[3] for row in rows) > 0.95 * len(rows)


def test_conll_u_names_its_columns_and_rare_labels_may_be_unseen(folder, capsys):
    write(folder / "tree.conllu", (CONLLU + "\n") * 4)
    assert init("input=tree.conllu", "target=[upos,deprel]", "group='newdoc id'") == 0
    node, out = dataset("tree"), capsys.readouterr().out
    assert "columns" not in node
    assert node["group_column"] == "newdoc id"
    assert "targets" not in node
    assert task("upos")["_target_"].endswith(".TokenClassification")
    assert task("upos")["unseen"] == "missing"
    assert "12 sentences, 24 words, 10 columns (conllu, utf-8)" in out  # 1-2 and 3.1 are no words
    assert "4 words without a label" in out


def test_columns_without_names_are_named_by_what_they_hold(folder, capsys):
    write(folder / "entities.txt", ENTITIES)
    assert init("input=entities.txt", "target=[pos,chunk,ner]") == 0
    assert dataset("entities")["columns"] == ["word", "pos", "chunk", "ner"]
    out = capsys.readouterr().out
    assert "chunk: tokens, because 3 labels that mark spans of 2 types (NP, VP)" in out
    numbered = "".join(
        f"{n}\t{word}\t{label}\n" for n, (word, label) in enumerate([("a", "X"), ("b", "Y"), ("c", "X")], start=1)
    )
    write(folder / "numbered.conll", (numbered + "\n") * 3)
    assert init("input=numbered.conll", "target=pos", "overwrite=true") == 0
    assert dataset("numbered")["columns"] == ["id", "word", "pos"]
    assert dataset("numbered")["word"] == "word"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["target=tag"], "has no column 'tag' of labels. It has pos (3 labels: NNP"),
        (["target=pos", "columns=[a,b]"], "has 4 cells, not 2"),
        (["target=pos", "text=word"], "is a file of one word a line, so text=word does not apply"),
        (["target=pos+ner"], "labels of words are one column each"),
        (["target=pos", "group=doc"], "group is 'doc', a key of no comment (# key = value). There are: document."),
        (["target=pos", "format=xml"], "format is 'xml'; it is one of auto, csv"),
        (["target=pos", "columns=a"], "columns is 'a'; it is a list of names"),
    ],
)
def test_faults_on_labelled_words_end_with_code_2_and_write_nothing(folder, capsys, words, problem):
    write(folder / "entities.conll", ENTITIES)
    assert init("input=entities.conll", *words) == 2
    assert problem in capsys.readouterr().err
    assert not (folder / "my_conf").exists()


def test_a_column_of_one_label_or_of_words_is_refused(folder, capsys):
    write(folder / "a.conll", "".join(f"w{n} X l{n}\n" + "\n" * (n % 3 == 0) for n in range(900)))
    assert init("input=a.conll", "target=[x,y]", "columns=[word,x,y]") == 2
    err = capsys.readouterr().err
    assert "column 'x' has the label 'X' in every word" in err
    assert "column 'y' has 900 labels in 900 words: that is no set of classes" in err


@pytest.mark.parametrize(
    ("text", "is_words"),
    [
        ("a\tX\nb\tY\n\nc\tX\nd\tY\n", True),
        ("-DOCSTART- O\n\na X\nb Y\n\nc X\nd X\n", True),
        ("x\ty\n1\t2\n3\t4\n", False),
        ("x\ty\n\n1\t2\n\n3\t4\n", False),
        ("word\nword\n\nword\nword\n", False),
        ("two words\nand three words\n\na b\nc d\n", False),
        ("", False),
    ],
)
def test_words_a_line_are_told_from_tables(tmp_path, text, is_words):
    assert looks_like_words(write(tmp_path / "a.tsv", text), "utf-8") is is_words


def test_quoted_targets_are_suggested_for_other_scripts(folder, capsys):
    write_csv(folder / "data.csv", ["情感", "x"], [[n % 2, n] for n in range(40)])
    assert init("input=data.csv", "target=[情感,x]") == 2
    assert "target=['情感','x']" in capsys.readouterr().err


def test_a_title_is_a_second_text_and_a_name_is_left_out_with_the_way_to_read_it(folder, capsys):
    rng = random.Random(0)
    words = [f"w{k}" for k in range(60)]
    rows = []
    for _ in range(200):
        title, review, name = (" ".join(rng.choice(words) for _ in range(n)) for n in (3, 12, 2))
        rows.append([title, review, name, rng.choice(["good", "bad"])])
    write_csv(folder / "data.csv", ["title", "review", "author", "mood"], rows)
    assert init("input=data.csv", "target=mood") == 0
    assert dataset()["text"] == ["title", "review"]
    out = capsys.readouterr().out
    assert "left out author: nearly every row has a value of its own" in out
    advice = shlex.split(out.partition("To read it as a text too: ")[2].splitlines()[0])
    assert init("input=data.csv", "target=mood", "overwrite=true", *advice) == 0
    assert dataset()["text"] == ["title", "review", "author"]
