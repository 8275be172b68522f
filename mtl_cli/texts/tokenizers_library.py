"""The `tokenizers` library, or the command that installs it: the only place that imports it.

Raises:
    UserError: it is not installed.
"""

from mtl_cli.errors import not_installed

try:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
except ImportError as error:
    raise not_installed("Texts are cut into tokens by tokenizers", error, "text") from error

__all__ = ["Regex", "Tokenizer", "models", "normalizers", "pre_tokenizers", "trainers"]
