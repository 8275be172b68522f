"""Names of the data stay text in a card: no HTML, no marks, no lines or cells of their own."""

import re

import pytest

from mtl_cli.export.card import card, code
from mtl_cli.export.provenance import DataFile

MANIFEST = {
    "licence": None,
    "model": "torch",
    "decisions": {},
    "check": {"rows": 1, "numbers": 0.0, "tolerance": 1e-4, "classes": 0.0, "quantised": {}},
    "commands": ["mtl-train 'a\n```\n# title'"],
}


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "a`b``c", "`", "x\n# title", "\x1b[31m", "a|b", ""])
def test_names_of_the_data_are_code(name):
    told = {"kind": "a.Classification", "columns": [f"y_{name}"], "classes": [name]}
    table = {"numbers": [name], "dates": [], "texts": [f"t{name}"], "vocabularies": [[name]]}
    manifest = {**MANIFEST, "tasks": {"y": told}, "datasets": {"y": {"inputs": {"kind": "rows", "table": table}}}}
    text = card(manifest, "bundle", {}, [DataFile("d", name, 1, "0")], [], {}, "a machine")
    assert "\x1b" not in text
    assert not re.search(r"^(# title|```\w*\n# title)", text, re.MULTILINE)
    assert code(name) in text
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", code(name), flags=re.DOTALL)
    assert outside == ""
