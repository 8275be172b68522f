"""UTF-8 that is read in another encoding is refused, whatever kind of file it is; texts in those encodings are not."""

import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables.aligned_lines import AlignedLines
from mtl_cli.tables.encodings import refuse_utf8
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.reading import ReadOptions
from mtl_cli.texts.conll import ConllFile, ConllOptions
from tests.init.test_western import CENTRAL, OTHERS, WESTERN

CONLL = ConllOptions(format="conll", columns=("word", "pos"), word=None, encoding="latin-1")
OPENED = {
    "drink,y\n{},1\n": lambda path: open_file(path, ReadOptions(encoding="latin-1", format="csv")).check_bytes(),
    "{} N\n\ntea N\n": lambda path: ConllFile(path, CONLL),
    "{}\n": lambda path: AlignedLines(path, ReadOptions(encoding="latin-1"), "en", []),
}


@pytest.mark.parametrize("form", OPENED)
def test_utf8_is_refused_where_another_encoding_is_told(tmp_path, form):
    path = tmp_path / "file.en"
    for text, encoding in (("tea", "utf-8"), ("café", "latin-1")):
        path.write_text(form.format(text), encoding=encoding)
        OPENED[form](path)
    path.write_text(form.format("café"), encoding="utf-8")
    with pytest.raises(UserError, match=r"is UTF-8, and would be read as latin-1.*dataset\.encoding=utf-8"):
        OPENED[form](path)


def test_no_word_of_another_encoding_passes_for_utf8(tmp_path):
    texts = OTHERS | {"cp1252": WESTERN, "cp1250": " ".join(CENTRAL.values())}
    for encoding, text in texts.items():
        for word in text.split():
            refuse_utf8(tmp_path, encoding, [word.encode(encoding)])
    refuse_utf8(tmp_path, "utf-16", ["é".encode()])
    refuse_utf8(tmp_path, "latin-1", [b"\xc3", b" \xa9"])
    with pytest.raises(UserError):
        refuse_utf8(tmp_path, "latin-1", [b"caf\xc3", b"\xa9"])
