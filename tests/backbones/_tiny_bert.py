"""A tiny encoder of BERT's kind with random weights and its tokenizer, in a folder that is gone after the tests."""

import json
import tempfile
from pathlib import Path

import torch

_FOLDER = tempfile.TemporaryDirectory(prefix="mtl_cli_tests_")
TINY_BERT = str(Path(_FOLDER.name) / "bert")
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "good",
    "bad",
    "film",
    "the",
    "was",
    "##s",
    "##ly",
    "a",
    "b",
    "c",
]
SIZES = {
    "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 16, "vocab_size": 30,
    "max_position_embeddings": 40, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def tiny_bert() -> str:
    """Return the folder, filled at the first call."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel
    from transformers.utils import logging as messages

    folder = Path(TINY_BERT)
    if folder.exists():
        return TINY_BERT
    messages.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(BertConfig(**SIZES)).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece({piece: k for k, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    specials = {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40, **specials}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return TINY_BERT
