"""Answers from a folder: stores its files, and makes a prompt of what bears on a question.

python folder.py ~/notes "When does the lease end?"

It needs a server (`ragstone serve`), or `--path DIR` and `pip install ./clients/embedded`. Run it again, and only files that changed are embedded.
"""

import argparse

import ragstone

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", help="Markdown, text, HTML, PDF and source code below it are stored")
parser.add_argument("question")
parser.add_argument("--url", default="http://127.0.0.1:6733", help="the server (default: %(default)s)")
parser.add_argument("--path", metavar="DIR", help="a database of this process instead")
arguments = parser.parse_args()

with ragstone.open(arguments.path) if arguments.path else ragstone.connect(arguments.url) as client:
    # A collection without a `dimension` embeds texts itself, with the server's model.
    notes = client.create_collection("folder", exist_ok=True)
    done = notes.ingest_folder(arguments.folder, progress=True)
    print(f"{done.stored} files stored, {len(done.refused)} refused")

    # Finds passages by meaning and by word, and packs the best of them into the messages of a prompt.
    prompt = notes.enrich(arguments.question, k=5)
    for citation in prompt.citations:
        print(f"[{citation.index}] {citation.document}, characters {citation.start} to {citation.end}")
    print(f"\nGive this to any language model ({prompt.tokens.total} tokens):\n")
    print(prompt.prompt)
