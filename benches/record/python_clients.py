"""Our Python client beside other stores in Python, in one run, in turn: writing, indexing, searching one at a time, and the CPU time of the client.

usage: python_clients.py --data DIR --server-bin FILE [--rows 100000] [--searches 10000] [--rounds 3] [--stores NAME ...] [--out DIR]
Each store is `python_stores.py` in a process of its own, with its defaults. All write first, one after the other; then each has a round of searches after the other, which
is repeated: the median of the rounds is kept. Recall is against the exact nearest rows of those that were written. Writes python_clients.json and
python_clients.md. A store that is not there or fails is said, and left out.
needs: pip install numpy ./clients/python qdrant-client qdrant-edge-py chromadb lancedb pyarrow pymilvus milvus-lite
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import common
import python_stores

# What the client may add to a search of its process's CPU time.
ADDED_US_MAX = 150
QUERIES_A_BLOCK = 200
FIGURES = ("qps", "p50_us", "p99_us", "cpu_us")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set")
    parser.add_argument("--server-bin", metavar="FILE", help="our server, built for speed: target/release/ragstone")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="rows to write, as far as there are so many (default: %(default)s)")
    parser.add_argument("--searches", type=int, default=10_000, metavar="N", help="searches of a round (default: %(default)s)")
    parser.add_argument("--write-s", type=float, default=600, metavar="S", help="seconds that writing may take before a store is left out (default: %(default)s)")
    parser.add_argument("--round-s", type=float, default=60, metavar="S", help="seconds of a round at most (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument("--stores", nargs="*", default=list(python_stores.STORES), choices=python_stores.STORES, metavar="NAME", help="of %(default)s")
    parser.add_argument("--scratch", metavar="DIR", help="where the databases are made and removed; a real disk, not a memory one")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent), metavar="DIR", help="where the record is written")
    return parser.parse_args()


class Failed(Exception):
    """A store that is not there, or that ended."""


class Store:
    """A process with one store."""

    def __init__(self, name, options, directory):
        self.name, self.lines = name, []
        script = [sys.executable, str(pathlib.Path(python_stores.__file__)), name, "--data", common.absolute(options.data), "--directory", directory]
        script += ["--rows", str(options.rows), "--searches", str(options.searches), "--write-s", str(options.write_s), "--round-s", str(options.round_s)]
        script += ["--server-bin", common.absolute(options.server_bin)] if options.server_bin else []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.version = self.answer("begin")["version"]

    def ask(self, command):
        """Has it do something; what it says of that."""
        try:
            self.process.stdin.write(f"{command}\n")
            self.process.stdin.flush()
        except OSError:
            pass
        return self.answer(command)

    def answer(self, phase):
        for line in self.process.stdout:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and value.get("phase") == phase:
                return value
        self.process.wait()
        self.errors.seek(0)
        last = [line for line in self.errors.read().strip().splitlines() if line.strip()][-1:]
        raise Failed(last[0].removeprefix("error: ") if last else f"ended with {self.process.returncode}")

    def end(self):
        self.process.stdin.close()
        self.process.stdin = None
        self.process.communicate()


def exact(base, query):
    """The rows with the greatest inner products, best first."""
    import numpy as np

    nearest = []
    for start in range(0, len(query), QUERIES_A_BLOCK):
        products = query[start:start + QUERIES_A_BLOCK] @ base.T
        few = np.argpartition(-products, common.K, axis=1)[:, :common.K]
        order = np.argsort(-np.take_along_axis(products, few, axis=1), axis=1)
        nearest.append(np.take_along_axis(few, order, axis=1))
    return np.concatenate(nearest)


def merged(rounds):
    """One line of all rounds of a store: medians."""
    line = {"searches": [one["searches"] for one in rounds], "recall_at_10": round(statistics.median(one["recall_at_10"] for one in rounds), 4)}
    return line | {name: round(statistics.median(one[name] for one in rounds), 1) for name in FIGURES}


class Run:
    """All stores, and what became of each."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.running, self.lines = {}, {}

    def each(self, step):
        """Has each store that still runs do a step; one that fails is said, and left out from then on."""
        for name in list(self.running):
            self.attempt(name, lambda: step(name, self.running[name]))

    def attempt(self, name, step):
        try:
            step()
        except Failed as failure:
            print(f"{name}: left out: {failure}", file=sys.stderr, flush=True)
            self.lines[name] = {"left_out": str(failure)}
            self.running.pop(name, None)

    def start(self, name):
        self.running[name] = store = Store(name, self.options, str(pathlib.Path(self.scratch) / name))
        self.lines[name] = {"version": store.version, "rounds": []}

    def write(self, name, store):
        self.lines[name]["write"] = self.shown(name, store.ask("write"))

    def search(self, truth):
        def step(name, store):
            line = store.ask("search")
            found = line.pop("found")
            line["recall_at_10"] = round(common.recall(found, truth[:len(found)]), 4)
            self.lines[name]["rounds"].append(self.shown(name, line))
        return step

    def client(self, name, store):
        if name == "ragstone":
            self.lines[name]["client"] = self.shown(name, store.ask("client"))

    def shown(self, name, line):
        print(json.dumps({"store": name} | line), file=sys.stderr, flush=True)
        return line

    def all(self):
        base, query, _ = common.load(self.options.data)
        base, query = base[:self.options.rows], query[:self.options.searches]
        truth = exact(base, query)
        for name in self.options.stores:
            self.attempt(name, lambda: (self.start(name), self.write(name, self.running[name])))
        for _ in range(self.options.rounds):
            self.each(self.search(truth))
        self.each(self.client)
        for store in self.running.values():
            store.end()
        for line in self.lines.values():
            if line.get("rounds"):
                line["search"] = merged(line["rounds"])
        return {"rows": len(base), "dimension": int(base.shape[1]), "queries": len(query), "stores": self.lines}


def cell(value, form="{:,.0f}"):
    return "-" if value is None else form.format(value)


def markdown(head, rows):
    line = lambda cells: "| " + " | ".join(map(str, cells)) + " |"
    return [line(head), line(["---"] * len(head)), *map(line, rows), ""]


def table(record):
    """python_clients.md."""
    machine, rows = record["machine"], []
    for name, line in record["stores"].items():
        write, search = line.get("write", {}), line.get("search", {})
        if "left_out" in line:
            rows.append([name, "-", f"left out: {line['left_out']}", *["-"] * 6])
            continue
        rows.append([name, line["version"] or "-", cell(write.get("rows_per_s")), cell(write.get("indexed_after_s"), "{:.1f}"), cell(search.get("recall_at_10"), "{:.3f}"),
                     cell(search.get("qps")), cell(search.get("p50_us")), cell(search.get("p99_us")), cell(search.get("cpu_us"))])
    head = ["store", "version", "rows/s, upserts of 1,000", "indexed after, s", "recall@10", "searches/s", "p50, us", "p99, us", "CPU of the process a search, us"]
    client = record["stores"].get("ragstone", {}).get("client")
    added = []
    if client:
        added = ["## What the client adds", "",
                 "CPU time of the client's process a search, and that of a bare gRPC call with the same bytes to the same server, in turn in blocks of "
                 f"{python_stores.BLOCK}; medians.", "",
                 *markdown(["search through the client, us", "bare gRPC call, us", "added, us", "limit, us"],
                           [[cell(client["total_us"]), cell(client["bare_grpc_us"]), cell(client["added_us"]), ADDED_US_MAX]])]
    return "\n".join([
        "# Stores from Python", "",
        f"{record['rows']:,} rows of {record['dimension']} components, written in batches of 1,000 and searched one at a time from one thread, k = 10. Each store in a process of its",
        "own, with its defaults; `ragstone` over gRPC to a server on the loopback interface, whose own CPU time is not in the process's. \"Indexed after\": ours from the",
        "last acknowledgement until all rows are in one graph, unasked; of others what the call takes that builds the index, and those without a figure have",
        "none. Searches: median of the rounds, in which stores take turns. A round ends after a time, so that slow stores make fewer.", "",
        f"{machine['processor']}, {machine['cores']} cores, {record['date']}, {record['revision']}. `{record['command']}`", "",
        *markdown(head, rows), *added])


def run():
    options = arguments()
    common.library("numpy")
    common.data_set(options.data)
    out, record = pathlib.Path(options.out), common.provenance()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        record |= Run(options, scratch).all()
    common.save(out / "python_clients.json", record)
    (out / "python_clients.md").write_text(table(record))
    print(f"wrote {out / 'python_clients.md'}", file=sys.stderr)


if __name__ == "__main__":
    common.main(run)
