"""A pretrained encoder in stages is that encoder, whatever the padding; its tokenizer goes with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.hf import HF, staged
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.errors import UserError
from mtl_cli.features import pool, run_stage
from mtl_cli.texts.pretrained import load_encoder, load_tokenizer
from mtl_cli.texts.training import pretrained_tokenizer
from tests.backbones._tiny_bert import TINY_BERT, tiny_bert
from tests.backbones.test_text_base import LENGTHS, batch, features

SPEC = InputSpec("text", (), (30,), TINY_BERT)


@pytest.fixture(scope="module")
def factory():
    return BackboneFactory(HF(tiny_bert()), {"a": Inputs(batch([6, 3], 6), "a")}, {"a": SPEC}, {"t": "a"}, 0)


def test_stages_give_what_the_whole_model_gives(factory):
    values = batch(LENGTHS, 9)
    assert factory.names == ["stem", "layer1", "layer2", "layer3"]
    found = features(factory().eval(), values)
    with torch.no_grad():
        model = load_encoder(TINY_BERT)
        out = model(input_ids=values["ids"], attention_mask=values["mask"].long(), output_hidden_states=True)
    for stage, wanted in zip(found, out.hidden_states, strict=True):
        torch.testing.assert_close(stage.values[values["mask"]], wanted[values["mask"]], rtol=0, atol=1e-5)


def test_padding_order_and_company_change_nothing(factory):
    stages = factory().eval()
    whole = pool(features(stages, batch(LENGTHS, 7))[-1])
    torch.testing.assert_close(pool(features(stages, batch(LENGTHS, 19))[-1]), whole, rtol=0, atol=1e-5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    turned = {key: value[order] for key, value in batch(LENGTHS, 7).items()}
    torch.testing.assert_close(pool(features(stages, turned)[-1]), whole[order], rtol=0, atol=1e-5)


def test_an_encoder_whose_layers_want_more_is_one_stage(tmp_path):
    from transformers import AlbertConfig, AlbertModel

    sizes = {"hidden_size": 8, "embedding_size": 4, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 30}
    AlbertModel(AlbertConfig(**sizes, num_hidden_layers=2)).save_pretrained(tmp_path)
    assert staged(load_encoder(str(tmp_path))) is None
    path = str(tmp_path)
    spec = InputSpec("text", (), (30,), path)
    made = BackboneFactory(HF(path), {"a": Inputs(batch([6, 3], 6), "a")}, {"a": spec}, {"t": "a"}, 0)
    assert made.names == ["stem", "features"]
    assert made.specs[-1].shape == (6, 8)


def test_copies_start_from_the_same_weights_and_share_nothing(factory):
    first, second = factory("0"), factory("1")
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.data_ptr() != other.data_ptr()


def test_the_tokenizer_is_the_models_own():
    tokenizer = pretrained_tokenizer(tiny_bert())
    wanted = load_tokenizer(TINY_BERT)
    for text in ["the film was goodly", "", "a zebra", "bads"]:
        pieces = [*tokenizer.specials.prefix, *tokenizer.texts([text])[0], *tokenizer.specials.suffix]
        assert pieces == (wanted(text)["input_ids"] if text else [2, 1, 3])
    assert tokenizer.words([["goodly", "films"]])[1][0].tolist() == [1, 0, 1, 0]
    assert tokenizer.specials.pad == 0


def test_another_vocabulary_and_other_inputs_are_refused():
    backbone = HF(tiny_bert())
    with pytest.raises(ValueError, match=r"Use tasks\.a\.dataset\.tokenizer=hf tasks\.a\.dataset\.tokenizer_path="):
        backbone.common_input({"a": InputSpec("text", (), (30,))})
    with pytest.raises(ValueError, match="image inputs"):
        backbone.common_input({"a": InputSpec("image", (1, 8, 8))})


def test_a_model_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"backbone\.path is '.*missing', from which no model can be read"):
        load_encoder(str(tmp_path / "missing"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="from which no model can be read"):
        load_encoder(str(tmp_path))


def test_a_text_longer_than_the_model_has_positions_for_is_told(factory):
    stem = factory()[0]
    with pytest.raises(UserError, match="max_length=40"):
        run_stage(stem, Inputs(batch([41], 41), "a"))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.write_text, (self.path, "ran"))


def strange(folder, **config):
    """A copy of the model's folder, its config changed."""
    shutil.copytree(tiny_bert(), folder)
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, **config}))
    return folder


def test_weights_that_are_a_pickle_are_not_read(tmp_path):
    folder = strange(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({"x": Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="from which no model can be read"):
        load_encoder(str(folder))
    assert not (tmp_path / "ran").exists()


def test_code_in_a_models_folder_is_not_run_and_nobody_is_asked(tmp_path, monkeypatch):
    code = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoTokenizer": ["evil.Slow", "evil.Fast"]}
    folder = strange(tmp_path / "model", model_type="evil", auto_map=code)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": code, "tokenizer_class": "EvilTokenizer"}))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question"))
    for load in (load_encoder, load_tokenizer):
        with pytest.raises(UserError, match="from which no model can be read"):
            load(str(folder))
    assert not (tmp_path / "ran").exists()


def test_a_kernel_of_the_hub_is_not_fetched(tmp_path):
    for key in ("attn_implementation", "_attn_implementation"):
        folder = strange(tmp_path / key, **{key: "somebody/kernel"})
        try:
            load_encoder(str(folder))
        except UserError as error:
            assert "from which no model can be read" in str(error)  # noqa: PT017  either is right
