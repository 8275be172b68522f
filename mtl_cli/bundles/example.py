"""What goes into a bundle, by the preprocessing in its manifest: an example, and in words."""

from collections.abc import Mapping, Sequence
from typing import Any


def example(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Return an example of a JSON body for a server: rows, sentences or arrays; of images and sounds empty."""
    row: dict[str, Any] = {}
    for each in datasets.values():
        inputs = each["inputs"]
        if inputs.get("kind") == "sentences":
            return {"sentences": [["words", "of", "a", "sentence"]]}
        if inputs.get("kind") == "array":
            return {"arrays": [[0.0] * min(8, inputs["shape"][0])]}
        row |= dict.fromkeys((inputs.get("text") or {}).get("columns", ()), "a text")
        table = inputs.get("table") or {"numbers": (), "dates": (), "texts": (), "vocabularies": ()}
        row |= dict.fromkeys(table["numbers"], 0.5) | dict.fromkeys(table["dates"], "2024-01-31")
        row |= {name: next((v for v in values if v is not None), "a") for name, values in
                zip(table["texts"], table["vocabularies"], strict=True)}  # fmt: skip
    return {"rows": [row]} if row else {}


def columns_read(inputs: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the columns that rows must have, by what they hold; empty where inputs are not rows."""
    table, text = inputs.get("table") or {}, inputs.get("text") or {}
    found = {
        "texts": text.get("columns", ()), "numbers": table.get("numbers", ()), "dates": table.get("dates", ()),
        "categories": table.get("texts", ()),
    }  # fmt: skip
    return {what: names for what, names in found.items() if names}


def described(inputs: Mapping[str, Any]) -> str:
    """Return what inputs other than rows of columns are, in words; empty where the bundle does not say."""
    kind = inputs.get("kind")
    if kind == "array":
        return f"arrays of shape {list(inputs['shape'])}"
    if kind == "pictures":
        exact = inputs.get("exact")
        size = f" of {exact[1]}×{exact[0]} pixels" if exact else ""
        return f"images{size}, {inputs['channels']} channel{'s' * (inputs['channels'] != 1)}"
    return {"sentences": "sentences, each a list of words", "sounds": "sound files"}.get(str(kind), "")
