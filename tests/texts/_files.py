"""Small files of texts and sentences, and datasets on them with the defaults of their YAML."""

from typing import Any

from mtl_cli.datasets.conll import Conll
from mtl_cli.datasets.text import Text
from tests.tables._files import defaults, made

CONLLU = """\
# newdoc id = a
# sent_id = 1
1-2\tIm\t_\t_\t_\t_\t_\t_\t_\t_
1\tIn\tin\tADP\t_\t_\t3\tcase\t_\t_
2\tdem\tder\tDET\t_\t_\t3\tdet\t_\t_
3\tHaus\tHaus\tNOUN\t_\t_\t0\troot\t_\t_
3.1\tist\tsein\tAUX\t_\t_\t_\t_\t_\t_

# sent_id = 2
1\t猫\t猫\tNOUN\t_\t_\t2\tnsubj\t_\t_
2\tschläft\tschlafen\t_\t_\t_\t0\troot\t_\tSpaceAfter=No

# newdoc id = b
# a comment alone is no sentence

# sent_id = 3
1\tHaus\tHaus\tNOUN\t_\t_\t0\troot\t_\t_
"""
ENTITIES = """\
-DOCSTART- -X- O O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
# NNP B-NP O
Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- O O

BRUSSELS NNP B-NP B-LOC
1996-08-22 CD I-NP O
"""


def write(path, text: str, end: str = "\n", encoding: str = "utf-8"):
    """Write a file and return its path."""
    path.write_bytes(text.replace("\n", end).encode(encoding))
    return path


def text(path, opened: bool = True, **changes: Any) -> Text:
    """Return a dataset of texts on a file."""
    targets = changes.pop("targets", {"y": {"kind": "class", "column": "y"}})
    source = made(Text, defaults("text") | {"path": str(path), "targets": targets} | changes)
    if opened:
        source.open()
    return source


def conll(path, opened: bool = True, **changes: Any) -> Conll:
    """Return a dataset of sentences on a file."""
    targets = changes.pop("targets", {"pos": {"kind": "tokens", "column": "upos"}})
    source = made(Conll, defaults("conll") | {"path": str(path), "targets": targets} | changes)
    if opened:
        source.open()
    return source
