"""From prompts and responses to token ids: rendered prompt and response are encoded apart, never jointly."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import LoadedModel
from understudy_worker.wire import Message, TokenizeOutput, TokenizePayload

Prompt = str | list[Message]
Template = str  # chat | alpaca | raw

# The no-input form of the template that Stanford Alpaca published and instruction tuning took over.
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n"
)


def render(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, *, template: Template) -> str:
    """The text that the model reads before the response."""
    if template == "chat":
        if tokenizer.chat_template is None:
            raise WorkerError("no_chat_template", "the model has no chat template; use the template alpaca or raw")
        turns = [Message(role="user", content=prompt)] if isinstance(prompt, str) else prompt
        text = tokenizer.apply_chat_template(
            [turn.model_dump() for turn in turns], tokenize=False, add_generation_prompt=True
        )
        return str(text)
    content = _single_turn(prompt, template=template)
    return content if template == "raw" else ALPACA.format(instruction=content)


def _single_turn(prompt: Prompt, *, template: Template) -> str:
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].content
    raise WorkerError(
        "messages_need_chat", f"the template {template} takes one user turn; send several turns with the template chat"
    )


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of exactly this text: nothing is added before or after it."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def encode_prompt(loaded: LoadedModel, prompt: Prompt, *, template: Template) -> list[int]:
    """Ids of the rendered prompt; at least one, since the first response token is predicted from it."""
    ids = encode(loaded.tokenizer, render(loaded.tokenizer, prompt, template=template))
    if not ids:
        raise WorkerError("empty_prompt", "the prompt has no tokens; write at least one visible character")
    return ids


def encode_response(loaded: LoadedModel, response: str, *, template: Template) -> list[int]:
    """Ids of the response; `chat` and `alpaca` close it with one end token, `raw` takes it as given."""
    ids = encode(loaded.tokenizer, response)
    if template == "raw":
        return ids
    if loaded.end_id is None:
        raise WorkerError("no_end_token", "the model's tokenizer has no end token; use the template raw")
    return [*ids, loaded.end_id]


def join(prompt_ids: list[int], response_ids: list[int], *, max_length: int) -> Tokens:
    """Prompt then response, cut at `max_length` tokens: only the response is cut, and with it goes its end token."""
    assert len(prompt_ids) < max_length, "callers refuse prompts that leave no room"
    return Tokens(ids=tuple((prompt_ids + response_ids)[:max_length]), prompt_length=len(prompt_ids))


def tokens_of(loaded: LoadedModel, prompt: Prompt, response: str, *, template: Template, max_length: int) -> Tokens:
    """What is scored: raises `prompt_too_long` when the prompt leaves no room for a response token."""
    prompt_ids = encode_prompt(loaded, prompt, template=template)
    check_room(prompt_ids, max_length=max_length)
    return join(prompt_ids, encode_response(loaded, response, template=template), max_length=max_length)


def check_room(prompt_ids: list[int], *, max_length: int) -> None:
    if len(prompt_ids) >= max_length:
        raise WorkerError(
            "prompt_too_long",
            f"the prompt has {len(prompt_ids)} tokens; the model's context of {max_length} must hold it and a response",
        )


def tokenize(loaded: LoadedModel, payload: TokenizePayload) -> TokenizeOutput:
    """Tokens of the payload's texts, texts of its tokens, and what the tokenizer calls its special ones."""
    tokenizer = loaded.tokenizer
    special = payload.add_special_tokens
    return TokenizeOutput(
        kind="tokenize",
        tokens=[tokenizer.encode(text, add_special_tokens=special) for text in payload.texts],
        texts=[str(tokenizer.decode(ids)) for ids in payload.tokens],
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        chat_template=tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else None,
    )
