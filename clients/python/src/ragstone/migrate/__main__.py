"""The command: `python -m ragstone.migrate --from chroma|qdrant-local|lancedb DIR --url URL`.

Exit code 0: every row was moved. 1: an error, which is told; what was moved before it stays. 3: rows were left behind, and the report says why.
130: it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import ragstone
from ragstone.migrate import MigrationError, Moved, from_chroma, from_lancedb, from_qdrant_local

STORES: dict[str, Callable[..., list[Moved]]] = {
    "chroma": from_chroma,
    "qdrant-local": from_qdrant_local,
    "lancedb": from_lancedb,
}
LEFT_BEHIND = 3
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        prog="python -m ragstone.migrate",
        description="Moves collections of another vector store on this machine into Ragstone.",
        epilog="An API key is taken from RAGSTONE_API_KEY. The package's documentation says what becomes of ids and metadata.",
    )
    made.add_argument("directory", metavar="DIR", help="the store's directory")
    made.add_argument("--from", dest="store", required=True, choices=STORES, help="whose directory it is")
    into = made.add_mutually_exclusive_group()
    into.add_argument("--url", default="http://127.0.0.1:6733", help="the server (default: %(default)s)")
    into.add_argument(
        "--path",
        metavar="DIR",
        help="a database of this process instead (pip install ./clients/embedded in a clone of the project)",
    )
    made.add_argument(
        "--collection",
        action="append",
        metavar="NAME[=TARGET]",
        help="a collection to move, and what it is to be called; may be repeated (default: all)",
    )
    made.add_argument("--text", action="append", metavar="FIELD", help="a field to search by word; may be repeated")
    made.add_argument("--into-existing", action="store_true", help="write into collections that are there already")
    made.add_argument("--progress", action="store_true", help="show how far it is")
    lance = made.add_argument_group("of lancedb")
    lance.add_argument("--id-column", metavar="NAME", help="the column of ids (default: id)")
    lance.add_argument("--number-rows", action="store_true", help="give rows their numbers as ids")
    lance.add_argument("--metric", choices=["cosine", "dot", "l2"], help="of vectors without an index (default: l2)")
    return made


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments as those of the functions."""
    named = [one.partition("=") for one in arguments.collection or ()]
    chosen: dict[str, Any] = {
        "collections": {name: target for name, _, target in named} or None,
        "texts": arguments.text,
        "into_existing": arguments.into_existing,
        "progress": arguments.progress,
    }
    of_lance = {
        "id_column": arguments.id_column,
        "number_rows": arguments.number_rows or None,
        "metric": arguments.metric,
    }
    of_lance = {name: value for name, value in of_lance.items() if value is not None}
    if of_lance and arguments.store != "lancedb":
        raise MigrationError(f"--{next(iter(of_lance)).replace('_', '-')} is for lancedb")
    return chosen | of_lance


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code."""
    arguments = parser().parse_args(words)
    try:
        chosen = options(arguments)
        with client(arguments) as connected:
            reports = STORES[arguments.store](arguments.directory, connected, on_moved=print, **chosen)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (MigrationError, ragstone.RagstoneError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        # Of a store's own package, which may raise anything.
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if all(report.is_whole for report in reports) else LEFT_BEHIND


def client(arguments: argparse.Namespace) -> ragstone.Client:
    """What the rows are written through."""
    if arguments.path is not None:
        return ragstone.open(arguments.path)
    return ragstone.connect(arguments.url, api_key=os.environ.get("RAGSTONE_API_KEY") or None)


if __name__ == "__main__":
    sys.exit(main())
