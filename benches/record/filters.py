"""Filtered search, Ragstone beside Qdrant Edge with typed filters, Faiss HNSW with a selector and hnswlib with a filter function, in one run, on the
same matches.

usage: filters.py --data DIR [--queries 1000] [--rival-queries 300] [--out DIR]
The program `filters` measures ours and writes fields, filters and truth; this script reads them. Each query is one call on one
thread; of three rounds each query's fastest time counts. Ours and Qdrant Edge, which
has an index of every field, evaluate a typed filter within the call. The others get the matches ready-made, which is not timed: Faiss a bitmap, hnswlib a list that a Python function looks into (slow, and the only way that its Python interface
has, so it gets fewer queries). Each library's width is the smallest of a list that reaches the recall; where none does, the line with the highest
recall stands. Writes filters.json and filters.md.
needs: pip install numpy qdrant-edge-py faiss-cpu hnswlib
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import common

RECALL = 0.95
# Ours go on to it, so that there is a width that finds as much as a rival that finds more than was asked for.
RECALL_MAX = 0.9995
EFS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024]
NONE = 2**32 - 1
# Values of the random fields: below so many, everything is.
RANDOM_VALUES = 1_000_000
ROUNDS = 3
RIVALS = ["qdrant-edge", "qdrant-edge-acorn", "faiss", "faiss-sq8", "hnswlib"]
LIBRARIES = {"qdrant-edge": "qdrant_edge", "qdrant-edge-acorn": "qdrant_edge", "faiss-sq8": "faiss"}
BATCH = 1_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set")
    parser.add_argument("--queries", type=int, default=1_000, metavar="N", help="queries of ours (default: %(default)s)")
    parser.add_argument("--rival-queries", type=int, default=300, metavar="N", help="queries of Faiss (default: %(default)s)")
    parser.add_argument("--function-queries", type=int, default=100, metavar="N", help="queries of hnswlib (default: %(default)s)")
    parser.add_argument("--selectivity", type=float, nargs="+", default=[], metavar="SHARE", help="shares of the rows; by default the program's")
    parser.add_argument("--rivals", nargs="*", default=RIVALS, choices=RIVALS, metavar="NAME", help="of %(default)s")
    parser.add_argument("--encoding", nargs="+", default=[], metavar="NAME", help="encodings of ours; by default the program's default")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads that build (default: %(default)s)")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent), metavar="DIR", help="where the record is written")
    parser.add_argument("--bin-dir", metavar="DIR", help="where our programs lie; by default cargo builds and runs them")
    return parser.parse_args()


class Cases:
    """The filters that our program wrote."""

    def __init__(self, directory):
        import numpy as np

        self.numpy, self.directory = np, pathlib.Path(directory)
        self.entries = json.loads((self.directory / "cases.json").read_text())
        a, b, fine, coarse = np.load(self.directory / "fields.u32.npy").T
        self.fields = {"a": a, "b": b, "fine": fine, "coarse": coarse}

    def truth(self, entry):
        """The true rows of each query, as many as there are."""
        rows = self.numpy.load(self.directory / f"{entry['case']}.truth.u32.npy")
        return [row[row != NONE] for row in rows]

    def conditions(self, entry, queries):
        """What each query asks for; one for all where it is the same."""
        if "below" in entry:
            limit = entry["below"]
            below = {name: limit[name] for name in ("a", "b") if limit[name] < RANDOM_VALUES}
            mask = self.numpy.logical_and.reduce([self.fields[name] < end for name, end in below.items()] or [self.fields["a"] >= 0])
            return [Condition(mask, below, {})] * queries
        name, chosen = entry["clusters"], self.numpy.load(self.directory / f"{entry['case']}.clusters.u32.npy")[:queries]
        rows = [row[row != NONE] for row in chosen]
        return [Condition(self.numpy.isin(self.fields[name], row), {}, {name: row.tolist()}) for row in rows]


class Condition:
    """A filter: the rows that match, and the fields that are to lie below an end or to be one of some values."""

    def __init__(self, mask, below, any_of):
        self.mask, self.below, self.any_of = mask, below, any_of


class Qdrant:
    """Qdrant Edge: typed filters over indexed payload fields; its own choice of plan, or with ACORN allowed for every filter."""

    def __init__(self, base, fields, directory, acorn):
        self.edge = edge = common.library("qdrant_edge")
        self.acorn = edge.AcornSearchParams(enable=True, max_selectivity=1.0) if acorn else None
        graph = edge.HnswIndexConfig(m=16, ef_construct=200, full_scan_threshold=10_000)
        vectors = edge.EdgeVectorParams(size=base.shape[1], distance=edge.Distance.Dot)
        self.shard = edge.EdgeShard.create(directory, edge.EdgeConfig(vectors=vectors, hnsw_config=graph))
        update = self.shard.update
        for name in fields:
            update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Integer))
        values = {name: column.tolist() for name, column in fields.items()}
        point = lambda row: edge.Point(id=row, vector=base[row].tolist(), payload={name: column[row] for name, column in values.items()})
        for start in range(0, len(base), BATCH):
            update(edge.UpdateOperation.upsert_points([point(row) for row in range(start, min(start + BATCH, len(base)))]))
        self.shard.optimize()

    def prepare(self, condition):
        edge = self.edge
        must = [edge.FieldCondition(name, range=edge.RangeFloat(lt=end)) for name, end in condition.below.items()]
        must += [edge.FieldCondition(name, match=edge.MatchAny(values)) for name, values in condition.any_of.items()]
        return edge.Filter(must=must)

    query = staticmethod(lambda row: row.tolist())

    def search(self, query, ef, prepared, _count):
        edge = self.edge
        params = edge.SearchParams(hnsw_ef=ef, acorn=self.acorn)
        request = edge.SearchRequest(query=edge.Query.Nearest(query), limit=common.K, filter=prepared, params=params)
        return [point.id for point in self.shard.search(request)]


class Faiss:
    """HNSW with 32 links on the base layer, as the others; a selector over a bitmap."""

    def __init__(self, base, threads, quantised):
        self.faiss = faiss = common.library("faiss")
        dimension = base.shape[1]
        if quantised:
            self.index = faiss.IndexHNSWSQ(dimension, faiss.ScalarQuantizer.QT_8bit, 16, faiss.METRIC_INNER_PRODUCT)
        else:
            self.index = faiss.IndexHNSWFlat(dimension, 16, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        faiss.omp_set_num_threads(threads)
        self.index.train(base)
        self.index.add(base)
        faiss.omp_set_num_threads(1)

    query = staticmethod(lambda row: row)

    def prepare(self, condition):
        import numpy as np

        bits = np.packbits(condition.mask, bitorder="little")
        # The selector points into the bits: they live as long as it does.
        return self.faiss.IDSelectorBitmap(bits), bits

    def search(self, query, ef, prepared, _count):
        parameters = self.faiss.SearchParametersHNSW(sel=prepared[0], efSearch=ef)
        ids = self.index.search(query[None], common.K, params=parameters)[1][0]
        return ids[ids >= 0]


class Hnswlib:
    """M=16 with a Python function as filter."""

    def __init__(self, base, threads):
        hnswlib = common.library("hnswlib")
        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base), ef_construction=200, M=16, random_seed=1)
        self.index.set_num_threads(threads)
        self.index.add_items(base)

    query = staticmethod(lambda row: row)

    def prepare(self, condition):
        return condition.mask.tolist().__getitem__

    def search(self, query, ef, prepared, count):
        self.index.set_ef(ef)
        try:
            # It refuses to return fewer than k, so it is asked for as many as there are.
            return self.index.knn_query(query[None], min(common.K, count), num_threads=1, filter=prepared)[0][0]
        except RuntimeError:
            return []


def rival(name, base, cases, options):
    """A library with all rows in it."""
    match name:
        case "qdrant-edge" | "qdrant-edge-acorn":
            directory = cases.directory / name
            directory.mkdir()
            return Qdrant(base, cases.fields, str(directory), name.endswith("acorn"))
        case "hnswlib":
            return Hnswlib(base, options.threads)
        case _:
            return Faiss(base, options.threads, name == "faiss-sq8")


def sweep(index, name, case, work):
    """Lines of one library for one case, up to the first width that reaches the recall."""
    queries, conditions, truth = work
    queries = [index.query(query) for query in queries]
    prepared, counts = {}, [int(condition.mask.sum()) for condition in conditions]
    for condition in conditions:
        if id(condition) not in prepared:
            prepared[id(condition)] = index.prepare(condition)
    lines = []
    for ef in EFS:
        best, found = [float("inf")] * len(queries), [None] * len(queries)
        for _ in range(ROUNDS):
            for number, query in enumerate(queries):
                ready = prepared[id(conditions[number])]
                start = time.perf_counter()
                found[number] = index.search(query, ef, ready, counts[number])
                best[number] = min(best[number], time.perf_counter() - start)
        wrong = sum(len(ids) != min(common.K, count) for ids, count in zip(found, counts))
        line = {"index": name, "case": case["case"], "kind": case["kind"], "selectivity": case["selectivity"], "setting": ef,
                "queries": len(queries), "recall_at_10": round(common.recall(found, truth), 4), "wrong_counts": wrong,
                "p50_us": round(statistics.median(best) * 1e6, 1), "mean_us": round(statistics.mean(best) * 1e6, 1),
                "qps": round(1 / statistics.mean(best))}
        print(json.dumps(line), file=sys.stderr, flush=True)
        lines.append(line)
        if line["recall_at_10"] >= RECALL:
            break
    return lines


def chosen(lines, recall):
    """The line of the smallest width that reaches the recall, or else of the highest recall; None of none."""
    reaching = [line for line in lines if line["recall_at_10"] >= recall]
    if reaching:
        return min(reaching, key=lambda line: int(line["setting"]))
    return max(lines, key=lambda line: line["recall_at_10"], default=None)


def at_equal_recall(ours, theirs):
    """The least ratio, over theirs, of the throughput of the fastest of ours that finds at least as much, or nearly all."""
    ratios = []
    for line in theirs:
        as_good = [mine["qps"] for mine in ours if mine["recall_at_10"] >= min(line["recall_at_10"], RECALL_MAX)]
        if not as_good:
            return "none of ours finds as much"
        ratios.append(max(as_good) / line["qps"])
    return f"{min(ratios):.1f}" if ratios else "-"


def table(record):
    """filters.md: a row for each filter."""
    widths = [line for line in record["lines"] if "kind" in line and line["setting"] != "default"]
    default = {(line["index"], line["case"]): line for line in record["lines"] if line.get("setting") == "default"}
    indexes = list(dict.fromkeys(line["index"] for line in widths))
    ours = [index for index in indexes if index.startswith("ragstone")]
    head = ["filter", "%"]
    for index in indexes:
        head += [f"{index}: ef", "recall", "q/s", "p50 us", "wrong counts"]
        head += ["x unfiltered", "default ef: recall", "q/s", "x unfiltered"] if index in ours else []
    head += ["best of ours / best of theirs, q/s", "the same at each of theirs' recall, least"]
    rows = []
    for case in dict.fromkeys(line["case"] for line in widths):
        of_case = {index: chosen([line for line in widths if (line["index"], line["case"]) == (index, case)], RECALL) for index in indexes}
        first = next(line for line in of_case.values() if line)
        cells = [first["kind"], f"{first['selectivity'] * 100:g}"]
        for index in indexes:
            line, plain = of_case[index], default.get((index, case))
            if line is None:
                cells += ["-"] * 5
                continue
            mark = "" if line["recall_at_10"] >= RECALL else " (!)"
            cells += [line["setting"], f"{line['recall_at_10']:.3f}{mark}", f"{line['qps']:,.0f}", f"{line['p50_us']:.0f}", f"{line['wrong_counts']}/{line['queries']}"]
            if index in ours:
                cells += [f"{line['ratio_to_unfiltered']:.2f}"]
                cells += [f"{plain['recall_at_10']:.3f}", f"{plain['qps']:,.0f}", f"{plain['ratio_to_unfiltered']:.2f}"] if plain else ["-"] * 3
        reached = [line for line in of_case.values() if line and line["recall_at_10"] >= RECALL]
        best = lambda mine: max((line["qps"] for line in reached if (line["index"] in ours) == mine), default=None)
        cells.append(f"{best(True) / best(False):.1f}" if best(True) and best(False) else "none of theirs reaches it" if best(True) else "-")
        of_ours = [line for line in widths if line["case"] == case and line["index"] in ours]
        cells.append(at_equal_recall(of_ours, [line for line in reached if line["index"] not in ours]))
        rows.append(cells)
    line = lambda cells: "| " + " | ".join(map(str, cells)) + " |"
    machine = record["machine"]
    return "\n".join([
        "# Filtered search", "",
        f"recall@10 at least {RECALL}, smallest width that reaches it; (!) none did. One query a call, one thread. \"Wrong counts\": answers without",
        "exactly min(k, matches) rows. Ours and Qdrant Edge evaluate a typed filter within the call; the others get the matches ready-made, untimed:",
        "Faiss a bitmap (`IDSelectorBitmap`), hnswlib a Python function, which is what makes it slow. \"x unfiltered\": mean latency over the",
        f"unfiltered one at a recall of {RECALL}. The last column compares each of theirs with the fastest of ours that finds at least as much, or {RECALL_MAX}.", "",
        f"{machine['processor']}, {machine['cores']} cores, {record['date']}, {record['revision']}. `{record['command']}`", "",
        line(head), line(["---"] * len(head)), *map(line, rows), ""])


def run():
    options = arguments()
    for name in {"numpy"} | {LIBRARIES.get(rival, rival) for rival in options.rivals}:
        common.library(name)
    record = common.provenance() | {"at_recall": RECALL, "rival_queries": options.rival_queries, "function_queries": options.function_queries}
    command = common.program("filters", options.bin_dir) + common.data_set(common.absolute(options.data))
    command += ["--recall", str(RECALL), "--recall-max", str(RECALL_MAX), "--queries", str(options.queries), "--build-threads", str(options.threads)]
    command += ["--encoding", *options.encoding] if options.encoding else []
    command += ["--selectivity", *map(str, options.selectivity)] if options.selectivity else []
    out = pathlib.Path(options.out)
    with tempfile.TemporaryDirectory() as directory:
        record["lines"] = common.json_lines(command + ["--out", directory])
        cases = Cases(directory)
        base, query, _ = common.load(options.data)
        for name in options.rivals:
            start = time.perf_counter()
            index = rival(name, base, cases, options)
            record["lines"].append({"index": name, "build_s": round(time.perf_counter() - start, 2)})
            count = min(options.queries, options.function_queries if name == "hnswlib" else options.rival_queries, len(query))
            for case in cases.entries:
                truth = cases.truth(case)[:count]
                work = (query[:count], cases.conditions(case, count), truth)
                record["lines"] += sweep(index, name, case, work)
            # After each library, so that a run that is broken off leaves what it has.
            common.save(out / "filters.json", record)
    common.save(out / "filters.json", record)
    (out / "filters.md").write_text(table(record))
    print(f"wrote {out / 'filters.md'}", file=sys.stderr)


if __name__ == "__main__":
    common.main(run)
