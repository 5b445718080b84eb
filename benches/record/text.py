"""Search by word and hybrid search at the level of the database, Ragstone beside LanceDB and tantivy, in one run, on the same texts.

usage: text.py --data DIR [--queries 2000] [--rival-queries 300] [--out DIR]
DIR is a data set with passages.txt.gz and queries.txt.gz, a text for each row and query. The program `text` measures ours. Each query is one call on one thread and
asks for ten ids; the median of some rounds counts. All stem English; how words are cut differs a little, so the lists do: `overlap` is the share of
ours that a rival finds, too. Tantivy searches by word alone, the heart of it through its Python package; LanceDB's hybrid search is
that of its documentation, an IVF index of vectors and a full-text index with reciprocal ranks. Writes text.json and text.md.
needs: pip install numpy lancedb pyarrow tantivy
"""
import argparse
import gzip
import json
import os
import pathlib
import statistics
import tempfile
import time

import common

ROUNDS = 3
RIVALS = ["lancedb", "tantivy"]
# What a text search takes for operators.
OPERATORS = str.maketrans({mark: " " for mark in "+-!(){}[]^\"~*?:\\/<>=&|'`,;"})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set, with texts")
    parser.add_argument("--queries", type=int, default=2_000, metavar="N", help="queries of ours and tantivy's (default: %(default)s)")
    parser.add_argument("--rival-queries", type=int, default=300, metavar="N", help="queries of LanceDB (default: %(default)s)")
    parser.add_argument("--rivals", nargs="*", default=RIVALS, choices=RIVALS, metavar="NAME", help="of %(default)s")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent), metavar="DIR", help="where the record is written")
    parser.add_argument("--bin-dir", metavar="DIR", help="where our programs lie; by default cargo builds and runs them")
    return parser.parse_args()


class Texts:
    """A data set with its texts, as many queries as are asked for."""

    def __init__(self, directory, queries, scratch):
        import numpy as np

        directory, self.scratch = pathlib.Path(directory), pathlib.Path(scratch)
        base, query, _ = common.load(directory)
        self.passages = self.lines(directory / "passages.txt.gz")
        self.queries = self.lines(directory / "queries.txt.gz")[:queries]
        self.base, self.vectors = base[: len(self.passages)], query[: len(self.queries)]
        for name, rows in [("base", self.base), ("query", self.vectors)]:
            np.save(self.scratch / f"{name}.npy", rows)
        for name, rows in [("texts", self.passages), ("queries", self.queries)]:
            (self.scratch / f"{name}.txt").write_text("\n".join(rows) + "\n")

    @staticmethod
    def lines(path):
        if not path.is_file():
            raise common.Absent(f"{path} is absent; the data set needs the texts of its rows and queries")
        return gzip.decompress(path.read_bytes()).decode().splitlines()


def ours(texts, bin_dir):
    found = texts.scratch / "found.json"
    command = common.program("text", bin_dir) + ["speed", "--found", str(found)]
    for option, file in [("texts", "texts.txt"), ("queries", "queries.txt"), ("base", "base.npy"), ("query", "query.npy")]:
        command += [f"--{option}", str(texts.scratch / file)]
    lines = common.json_lines(command)
    return lines, json.loads(found.read_text())


def rate(queries, ask):
    """Queries a second of the median round, and what the last one found."""
    rates, found = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        found = [ask(at) for at in range(queries)]
        rates.append(queries / (time.perf_counter() - begin))
    return statistics.median(rates), found


def line(library, phase, queries, per_s, **more):
    entry = {"library": library, "phase": phase, "queries": queries, "queries_per_s": round(per_s), **more}
    print(json.dumps(entry), flush=True)
    return entry


def overlap(found, truth):
    """Share of our rows that were found, too."""
    wanted = sum(len(rows) for rows in truth[: len(found)])
    return round(sum(len(set(rows) & set(true)) for rows, true in zip(found, truth)) / max(wanted, 1), 3)


def tantivy(texts, _, truth):
    library = common.library("tantivy")
    builder = library.SchemaBuilder()
    builder.add_unsigned_field("id", stored=True, fast=True)
    builder.add_text_field("text", stored=False, tokenizer_name="en_stem")
    index = library.Index(builder.build())
    begin = time.perf_counter()
    writer = index.writer(num_threads=1)
    for row, text in enumerate(texts.passages):
        document = library.Document(text=text)
        document.add_unsigned("id", row)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    indexed_s, searcher = time.perf_counter() - begin, index.searcher()
    queries = [index.parse_query(text.translate(OPERATORS), ["text"]) for text in texts.queries]

    def ask(at):
        return [searcher.doc(place)["id"][0] for _, place in searcher.search(queries[at], common.K, count=False).hits]

    per_s, found = rate(len(queries), ask)
    return [line("tantivy", "text", len(queries), per_s, overlap=overlap(found, truth), indexed_s=round(indexed_s, 2), segments=searcher.num_segments)]


def lancedb(texts, asked, truth):
    os.environ.setdefault("RUST_LOG", "error")
    library, arrow = common.library("lancedb"), common.library("pyarrow")
    rerankers = common.library("lancedb.rerankers")
    begin = time.perf_counter()
    vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(texts.base.ravel()), texts.base.shape[1])
    data = arrow.table({"id": arrow.array(range(len(texts.passages))), "text": texts.passages, "vector": vectors})
    table = library.connect(str(texts.scratch / "lance")).create_table("passages", data)
    table.create_fts_index("text", use_tantivy=False)
    table.create_index(metric="dot", vector_column_name="vector")
    table.optimize()
    indexed_s = time.perf_counter() - begin
    plain, fused = [text.translate(OPERATORS) for text in texts.queries], rerankers.RRFReranker()

    def by_words(at):
        found = table.search(plain[at], query_type="fts").limit(common.K).select(["id"]).to_arrow()
        return found["id"].to_pylist()

    def both(at):
        search = table.search(query_type="hybrid").vector(texts.vectors[at]).text(plain[at])
        return search.limit(common.K).rerank(fused).select(["id"]).to_arrow()["id"].to_pylist()

    asked = min(asked, len(plain))
    per_s, found = rate(asked, by_words)
    lines = [line("lancedb", "text", asked, per_s, overlap=overlap(found, truth), indexed_s=round(indexed_s, 2))]
    return lines + [line("lancedb", "hybrid", asked, rate(asked, both)[0])]


def table(lines):
    """The record for people."""
    rows = ["| library | search | queries/s | ours is | overlap with ours |", "|---|---|---|---|---|"]
    ours_at = {entry["phase"]: entry["queries_per_s"] for entry in lines if entry["library"] == "ragstone"}
    for entry in lines:
        times = "" if entry["library"] == "ragstone" else f"{ours_at[entry['phase']] / entry['queries_per_s']:.1f}x"
        rows.append(f"| {entry['library']} | {entry['phase']} | {entry['queries_per_s']:,} | {times} | {entry.get('overlap', '')} |")
    return "\n".join(rows)


def run():
    options = arguments()
    versions = {name: common.library(name).__version__ for name in options.rivals}
    provenance = common.provenance()
    with tempfile.TemporaryDirectory() as scratch:
        texts = Texts(options.data, options.queries, scratch)
        lines, truth = ours(texts, options.bin_dir)
        ingest = next(entry for entry in lines if entry["phase"] == "ingest")
        lines = [{"library": "ragstone", "queries": len(texts.queries), **entry} for entry in lines if entry["phase"] != "ingest"]
        for rival in options.rivals:
            lines += {"tantivy": tantivy, "lancedb": lancedb}[rival](texts, options.rival_queries, truth)
    common.save(pathlib.Path(options.out) / "text.json", {**provenance, "versions": versions, "ingest": ingest, "lines": lines})
    head = f"# Search by word and hybrid search\n\n{ingest['texts']:,} passages, ten ids a query, one call a query on one thread; `{provenance['command']}`, {provenance['date']}.\n\n"
    (pathlib.Path(options.out) / "text.md").write_text(head + table(lines) + "\n")


if __name__ == "__main__":
    common.main(run)
