"""Rendering, end token and truncation, as tables."""

from __future__ import annotations

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy_worker.errors import WorkerError
from understudy_worker.models import LoadedModel
from understudy_worker.tokens import encode, encode_prompt, encode_response, join, render, tokens_of
from understudy_worker.wire import Message

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


def turn(role: str, content: str) -> Message:
    return Message.model_validate({"role": role, "content": content})


@pytest.mark.parametrize(
    ("template", "prompt", "text"),
    [
        ("chat", "Hi", SYSTEM + "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
        ("chat", [turn("user", "Hi")], SYSTEM + "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
        (
            "chat",
            [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Yes?"), turn("user", "Go")],
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nYes?<|im_end|>\n<|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\n",
        ),
        ("raw", "  as given\n", "  as given\n"),
        ("raw", [turn("user", "one turn")], "one turn"),
        (
            "alpaca",
            "Name {a} colour.",
            "Below is an instruction that describes a task. Write a response that appropriately completes the request."
            "\n\n### Instruction:\nName {a} colour.\n\n### Response:\n",
        ),
    ],
)
def test_rendering(teacher: LoadedModel, template: str, prompt: str | list[Message], text: str) -> None:
    assert render(teacher.tokenizer, prompt, template=template) == text


@pytest.mark.parametrize("template", ["raw", "alpaca"])
@pytest.mark.parametrize(
    "messages", [[turn("assistant", "x")], [turn("user", "x"), turn("user", "y")], [turn("system", "x")]]
)
def test_several_turns_need_chat(teacher: LoadedModel, template: str, messages: list[Message]) -> None:
    with pytest.raises(WorkerError, match="template chat") as error:
        render(teacher.tokenizer, messages, template=template)
    assert error.value.code == "messages_need_chat"


def test_a_model_without_a_chat_template_says_so() -> None:
    bare = tiny.tokenizer()
    bare.chat_template = None
    with pytest.raises(WorkerError, match="no chat template"):
        render(bare, "Hi", template="chat")


@pytest.mark.parametrize(("template", "ends"), [("chat", 1), ("alpaca", 1), ("raw", 0)])
def test_end_token(teacher: LoadedModel, template: str, ends: int) -> None:
    ids = encode_response(teacher, "Blue.", template=template)
    assert ids == encode(teacher.tokenizer, "Blue.") + [teacher.end_id] * ends
    assert encode_response(teacher, "", template=template) == [teacher.end_id] * ends


@pytest.mark.parametrize(
    ("limit", "response", "length"),
    [
        (9, (11, 12, 13, 1), 7),  # room for all
        (7, (11, 12, 13, 1), 7),  # exactly
        (6, (11, 12, 13), 6),  # the end token goes first
        (5, (11, 12), 5),
        (4, (11,), 4),
    ],
)
def test_truncation_cuts_the_response_and_adds_no_end(limit: int, response: tuple[int, ...], length: int) -> None:
    tokens = join([5, 6, 7], [11, 12, 13, 1], max_length=limit)
    assert tokens.response == response
    assert tokens.prompt_length == 3 and len(tokens) == length


def test_a_prompt_that_fills_the_context_is_refused(teacher: LoadedModel) -> None:
    count = len(encode_prompt(teacher, "Hi", template="raw"))
    assert tokens_of(teacher, "Hi", "Blue.", template="raw", max_length=count + 1).response
    with pytest.raises(WorkerError, match="context") as error:
        tokens_of(teacher, "Hi", "Blue.", template="raw", max_length=count)
    assert error.value.code == "prompt_too_long"


@settings(max_examples=100, deadline=None)
@given(prompt=st.text(min_size=1, max_size=40), response=st.text(max_size=40))
def test_prompt_and_response_are_encoded_apart(prompt: str, response: str) -> None:
    tokens = TOKENIZER
    joined = encode(tokens, prompt) + encode(tokens, response)
    assert tokens.decode(joined) == tokens.decode(encode(tokens, prompt)) + tokens.decode(encode(tokens, response))
    assert all(token < len(tokens) for token in joined)


TOKENIZER = tiny.tokenizer()
