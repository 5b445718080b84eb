"""Drives a server with OpenAI's own client: argv are the port's base URL and what to do. Prints one JSON object."""

import json
import sys

import openai

base, task = sys.argv[1], sys.argv[2]
# A key is wanted by the client, not by the server.
client = openai.OpenAI(base_url=base + "/v1", api_key="unused", max_retries=0, timeout=60)
QUESTION = [{"role": "user", "content": "When does the lease end?"}]


def models():
    listed = [model.id for model in client.models.list()]
    one = client.models.retrieve(listed[1])
    return {"listed": listed, "one": one.id, "object": one.object}


def embeddings():
    # Unless told otherwise the client asks for base64 and decodes it.
    texts = ["a lease", "", "sourdough bread"]
    packed = client.embeddings.create(model="tests/bag-of-words", input=texts)
    plain = client.embeddings.create(model="tests/bag-of-words", input=texts, encoding_format="float")
    lone = client.embeddings.create(model="tests/bag-of-words", input="a lease", extra_body={"ragstone": {"role": "query"}})
    return {
        "packed": [item.embedding for item in packed.data],
        "plain": [item.embedding for item in plain.data],
        "lone": lone.data[0].embedding,
        "indexes": [item.index for item in packed.data],
        "model": packed.model,
        "usage": packed.usage.model_dump(),
    }


def chat():
    answer = client.chat.completions.create(model="small@notes", messages=QUESTION, temperature=0.5, stop="END")
    return answer.model_dump()


def defaults():
    answer = client.chat.completions.create(
        model="small",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "What is in the house?"},
            {"role": "assistant", "content": "A lease."},
            {"role": "user", "content": [{"type": "text", "text": "When does the lease end?"}]},
        ],
        extra_body={"ragstone": {"collection": "notes", "k": 1, "mode": "text", "filter": "_document = 'lease.md'"}},
    )
    return answer.model_dump()


def stream():
    chunks = client.chat.completions.create(
        model="small@notes", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    return {"chunks": [chunk.model_dump() for chunk in chunks]}


def leave():
    """Reads one piece and goes."""
    chunks = client.chat.completions.create(model="small@notes", messages=QUESTION, stream=True)
    text = ""
    for chunk in chunks:
        text += chunk.choices[0].delta.content or ""
        if text:
            chunks.close()
            break
    return {"text": text}


def broken():
    """A stream that fails on its way."""
    text, error = "", None
    try:
        for chunk in client.chat.completions.create(model="small@notes", messages=QUESTION, stream=True):
            text += chunk.choices[0].delta.content or ""
    except openai.APIError as failure:
        error = str(failure)
    return {"text": text, "error": error}


def errors():
    found = []

    def failing(call, **arguments):
        try:
            call(**arguments)
        except openai.APIStatusError as error:
            found.append([type(error).__name__, error.status_code, error.body])
        else:
            found.append(None)

    complete, embed = client.chat.completions.create, client.embeddings.create
    failing(complete, model="absent@notes", messages=QUESTION)
    failing(complete, model="small@absent", messages=QUESTION)
    failing(complete, model="small@notes", messages=[])
    failing(complete, model="small@notes", messages=QUESTION, temperature=3)
    failing(complete, model="small@notes", messages=QUESTION, n=2)
    failing(complete, model="small@notes", messages=QUESTION, tools=[{"type": "function", "function": {"name": "f"}}])
    image = {"type": "image_url", "image_url": {"url": "http://x"}}
    failing(complete, model="small@notes", messages=[{"role": "user", "content": [image]}])
    failing(complete, model="small@notes", messages=QUESTION, extra_body={"ragstone": {"colour": 1}})
    failing(complete, model="small@notes", messages=QUESTION, extra_body={"ragstone": {"filter": "nofield = 1"}})
    failing(complete, model="small@notes", messages=QUESTION, extra_body={"ragstone": {"filter": "= 1"}})
    failing(embed, model="text-embedding-3-small", input="a")
    failing(embed, model="tests/bag-of-words", input=[1, 2, 3])
    failing(embed, model="tests/bag-of-words", input="a", dimensions=7)
    failing(embed, model="tests/bag-of-words", input="word " * 100)
    failing(client.models.retrieve, model="absent")
    return {"errors": found}


print(json.dumps({name: globals()[name] for name in [task]}[task]()))
