"""Pretrained models of Hugging Face. No other module imports transformers, which takes seconds."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from mtl_cli.errors import UserError, not_installed


def load_tokenizer(path: str) -> Any:  # noqa: ANN401  a class of transformers
    """Return the tokenizer of a model in a folder or on the hub.

    Raises:
        UserError: transformers is not installed, or there is no such model.
    """
    with _reading(path, "tokenizer_path"):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def load_encoder(path: str) -> Any:  # noqa: ANN401  a class of transformers
    """Return a model in a folder or on the hub, float32, in evaluation mode.

    Raises:
        UserError: transformers is not installed, or there is no such model.
    """
    import torch

    with _reading(path, "backbone.path"):
        from transformers import AutoConfig, AutoModel

        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if "/" in str(getattr(config, "_attn_implementation", None)):
            raise ValueError("its config.json asks for a kernel from the hub, which is code.")
        safe = {"use_safetensors": True, "trust_remote_code": False}  # neither pickles nor code from the model's folder
        return AutoModel.from_pretrained(path, dtype=torch.float32, **safe).eval()


@contextlib.contextmanager
def _reading(path: str, key: str) -> Iterator[None]:
    """Turn what transformers raises into a UserError, and keep its own messages out of the log.

    Raises:
        UserError: transformers is not installed, or there is no such model.
    """
    logger = logging.getLogger("transformers")
    level = logger.level
    try:
        from transformers.utils import logging as messages

        messages.disable_progress_bar()
        logger.setLevel(logging.ERROR)
        yield
    except ImportError as error:
        raise not_installed("Pretrained models are read by transformers", error, "hf") from error
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{key} is '{path}', from which no model can be read: {reason} Give a folder with config.json, or a name "
            "on the hub (with HF_HUB_OFFLINE=1 only what was downloaded before)."
        ) from error
    finally:
        logger.setLevel(level)
