"""Advice in messages: the overrides that a message proposes, the messages in the source, and commands that try them."""

import ast
import re
from pathlib import Path

import mtl_cli

PACKAGE = Path(mtl_cli.__file__).parent
VERBS = (
    "Use|Set|Give|Add|Try|Choose|Join|Leave|Drop|Declare|Name|Say|Quote|Run|Did you mean|say so|give a number|"
    "choose others|declare|or drop|or read"
)
OVERRIDE = re.compile(r"""(?:-m )?(?:[+~]{0,2}[\w./@-]+=(?:'[^']*'|"[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^\s,;)]+)|~[\w.-]+)""")
SENTENCE = re.compile(rf"(?<![\w'])(?:{VERBS})\b.*?(?=(?:[.?;] (?=[A-Z(])|$))", re.DOTALL)


def advice(message):
    """Return the overrides that each way out in a message proposes; a comma or "or" stands between ways."""
    ways = []
    for match in SENTENCE.finditer(message):
        for part in re.split(r",? or (?!more)|, (?=[\w.]+=)", match[0]):
            found = OVERRIDE.findall(part)
            words = [word if re.search(r"=['\"]", word) else word.rstrip(".?'\"") for word in found]
            words = [word for word in words if not word.endswith("=")]
            if words:
                ways.append(words)
    return ways


def with_advice(words, way, problem):
    """Return a command in which the overrides of a way out are put in the place of what they correct.

    That is what was typed for the same keys, and what the problem names as wrong in the place of it.
    """
    if re.match(r"Unknown|\S+ gives|'\S+' sets|\S+ lists", problem):
        words = [word for word in words if not re.search(rf"(^|in |'){re.escape(word)}(['. ]|$)", problem)]
    for text in way:
        key = text.lstrip("+~").partition("=")[0]
        typed = [word for word in words if re.match(rf"[+~]{{0,2}}{re.escape(key)}(=|\.|$)", word)]
        words = [word for word in words if word not in typed and not (key == "task" and word.startswith("~tasks."))]
        if typed and typed[0].startswith("+") and text[0] not in "+~":
            text = "+" + text
        if not (text.startswith("~") and any(word == text or word.startswith("+") for word in typed)):
            words = [*words, text]
    return words


def templates():
    """Return the texts in the package that propose an override, by place; what is filled in is {}."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        inner -= {id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
        inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            text = None if id(node) in inner else template(node)
            if text and len(text) < 700 and advice(text.replace("{}", "X")):
                found[f"{path.relative_to(PACKAGE).as_posix()}: {text}"] = text
    return found


def template(node):
    """Return the text of a string or f-string, or None for other nodes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def matches(text, message):
    """Return whether a message was made from a template."""
    return re.search(".*".join(map(re.escape, text.strip().split("{}"))), message, re.DOTALL) is not None
