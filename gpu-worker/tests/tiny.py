"""Real models of a few layers and a real tokenizer, made on the spot: no network, no files of others."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CORPUS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "You are a helpful assistant. user assistant system",
    "Two plus two is four; three plus five is eight. 0 1 2 3 4 5 6 7 8 9",
    "Name the colour of grass. Green. Name the colour of the sky. Blue.",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTEXT = 256


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with pad = eos, as SmolLM2 has it."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    result = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    result.chat_template = CHAT_TEMPLATE
    return result


def llama(vocab_size: int, *, layers: int, seed: int, sharp: float = 1.0) -> LlamaForCausalLM:
    """`sharp` scales the weights, so that the model has opinions."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(sharp)
    return model


def gpt2(vocab_size: int, *, layers: int, seed: int) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocab_size, n_embd=32, n_layer=layers, n_head=4, n_positions=CONTEXT, bos_token_id=0, eos_token_id=1
    )
    return GPT2LMHeadModel(config)


def write_all(folder: Path) -> dict[str, Path]:
    """Model folders by name: `teacher` (4 layers), `student` (2), `gpt2` (3, with dropout)."""
    tokens = tokenizer()
    made = {
        "teacher": llama(len(tokens), layers=4, seed=1, sharp=8.0),
        "student": llama(len(tokens), layers=2, seed=2, sharp=6.0),
        "gpt2": gpt2(len(tokens), layers=3, seed=3),
    }
    for name, model in made.items():
        model.save_pretrained(folder / name)
        tokens.save_pretrained(folder / name)
    return {name: folder / name for name in made}
