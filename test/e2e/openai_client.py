"""The unmodified openai package: a completion, an echo, a chat, streams. Prints ok."""

import sys

import openai

client = openai.OpenAI(max_retries=0)
model = sys.argv[1]
asked = {"model": model, "prompt": "Say the word red", "max_tokens": 16, "seed": 5}

whole = client.completions.create(**asked)
assert whole.choices[0].finish_reason in ("stop", "length")
streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True))
assert streamed == whole.choices[0].text

echo = client.completions.create(model=model, prompt=[[5, 6, 7]], max_tokens=0, echo=True, logprobs=1)
logprobs = echo.choices[0].logprobs
assert logprobs is not None and logprobs.token_logprobs is not None
assert logprobs.token_logprobs[0] is None and len(logprobs.token_logprobs) == 3

messages = [{"role": "user", "content": "Say the word red"}]
chat = client.chat.completions.create(model=model, messages=messages, max_tokens=16, seed=5)
chunks = client.chat.completions.create(model=model, messages=messages, max_tokens=16, seed=5, stream=True)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == chat.choices[0].message.content

try:
    client.completions.create(**{**asked, "model": "nobody"})
except openai.NotFoundError as error:
    assert error.code == "not_found"
else:
    raise AssertionError("an unknown model was found")
print("ok")
