"""Labels whose words stand in an order are found, in that order; other labels are plain classes."""

import csv
import random
from pathlib import Path

import pytest

from mtl_cli.init.scales import words_in_order
from tests.init._looking import kind, look, task, train

ORDERED = (
    "never,rarely,sometimes,often,always", "Low,Medium,High", "S,M,L,XL", "1st,2nd,3rd,10th", "mild,moderate,severe",
    "Strongly disagree,Disagree,Neutral,Agree,Strongly agree", "poor,fair,good,excellent", "<18,18-24,25-34,65+",
    "0-10,10-20,20-100", "very_low,low,high", "first,second,third", "I,II,III,IV",
)  # fmt: skip
OTHERS = (
    "low,high", "red,green,blue", "S,M,F", "low,medium,high,unknown", "2D,3D,4D", "Low,low,high,medium",
    "10-20,15-30,40-50", "medium,average,low", "1,2,3", "A,B,C", "10-5,6-7,8-9", "18-24,25-34,other",
)  # fmt: skip


@pytest.mark.parametrize("words", ORDERED)
def test_words_of_a_scale_are_in_its_order(words):
    assert words_in_order(sorted(words.split(","))) == words.split(",")


@pytest.mark.parametrize("words", OTHERS)
def test_others_are_not(words):
    assert words_in_order(words.split(",")) == []


def test_a_target_of_such_words_is_ordinal_and_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stream = random.Random(0)
    with Path("data.csv").open("w", newline="") as file:
        rows = [(x := stream.random(), stream.random(), ("rarely", "often", "always")[int(3 * x)]) for _ in range(120)]
        csv.writer(file).writerows([("x", "z", "how"), *rows])
    out = look(capsys, "[how]")
    assert "how: ordinal, because its words are a scale: rarely < often < always" in out
    assert kind("how") == "Ordinal"
    assert task("how")["classes"] == ["rarely", "often", "always"]
    assert train(capsys, out, "trainer.max_epochs=4")["how/qwk"] > 0.5
