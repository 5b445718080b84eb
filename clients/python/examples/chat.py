"""A chat with your documents: each answer rests on passages, and cites them.

python folder.py ~/notes "Anything"   # fills the collection
python chat.py                        # then type questions; an empty line ends it

Where the server has a language model (`ragstone serve --generate-model NAME=URL`), it answers as you watch. Where it has none, you see the
prompt that one would get.
"""

import argparse
import sys

import ragstone
from ragstone import Citation, Message

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--collection", default="folder", help="what to talk about (default: %(default)s)")
parser.add_argument("--url", default="http://127.0.0.1:6733", help="the server (default: %(default)s)")
parser.add_argument("--path", metavar="DIR", help="a database of this process instead")


def answer(notes: ragstone.Collection, history: list[Message]) -> tuple[str, list[Citation]]:
    """Prints the answer as it comes; all of it, and the citations that it uses."""
    with notes.generate(messages=history) as generation:
        for text in generation.texts():
            print(text, end="", flush=True)
        print()
        whole = generation.result()
    # What the model cites was compared with what it was given: numbers that it made up are in `citations.unknown`.
    cited = [one for one in generation.evidence.citations if one.index in whole.citations.cited]
    return whole.text, cited


def show_prompt(notes: ragstone.Collection, history: list[Message]) -> list[Citation]:
    """Prints what a language model would be asked; the passages in it."""
    # The history is part of the question: "When does it end?" is searched for with what "it" is.
    prompt = notes.enrich(messages=history)
    print(prompt.prompt)
    return prompt.citations


def main() -> None:
    """Asks and answers until there are no more questions."""
    arguments = parser.parse_args()
    with ragstone.open(arguments.path) if arguments.path else ragstone.connect(arguments.url) as client:
        notes = client.collection(arguments.collection)
        history: list[Message] = []
        print("> ", end="", flush=True)
        for line in sys.stdin:
            if not line.strip():
                break
            history.append(Message("user", line.strip()))
            try:
                text, citations = answer(notes, history)
                history.append(Message("assistant", text))
            except ragstone.GenerateModelNotFound:
                citations = show_prompt(notes, history)
            for citation in citations:
                print(f"[{citation.index}] {citation.document}: {' '.join(citation.text.split())}")
            print("> ", end="", flush=True)


if __name__ == "__main__":
    main()
