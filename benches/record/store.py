"""The store beside embedded rivals in one run: durable ingest, time until indexed, searches, opening, recovery, space.

usage: store.py --data DIR [--out DIR] [--rivals NAME ...] [--seconds 20] [--million]
Ours is the program `store`, one subcommand after the other; each rival is `rival_stores.py` in a process of its own. What each syncs before it
acknowledges a write is counted with strace, over a few batches, where that is installed. Writes store.json and store.md.
needs: pip install numpy qdrant-edge-py lancedb pyarrow chromadb pymilvus milvus-lite; strace
"""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile

import common
import rival_stores

# Qdrant Edge's curve, with its own defaults of a search, ends near the second.
RECALLS = [0.95, 0.988]
SYNCS = "fsync,fdatasync,msync,syncfs,sync_file_range"
TRACED_ROWS = 5_000
GROUP_COMMITTED = 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set")
    parser.add_argument("--rivals", nargs="*", default=list(rival_stores.RIVALS), choices=rival_stores.RIVALS, metavar="NAME", help="of %(default)s")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="of each measurement beside writes (default: %(default)s)")
    parser.add_argument("--million", action="store_true", help="also ingest and open a million rows: minutes, and 2 GB of disk")
    parser.add_argument("--scratch", metavar="DIR", help="where the databases are made and removed; a real disk, not a memory one")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent), metavar="DIR", help="where the record is written")
    parser.add_argument("--bin-dir", metavar="DIR", help="where our programs lie; by default cargo builds and runs them")
    return parser.parse_args()


def syncs(command, name, scratch):
    """Calls that sync, over the writes of five batches; None without strace. A rival marks its writes; ours are all that the program does."""
    if shutil.which("strace") is None:
        return None
    log = pathlib.Path(scratch) / "trace"
    marks = "" if name == "ragstone" else ",stat,newfstatat,statx"
    common.json_lines(["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={SYNCS}{marks}"] + command)
    lines = log.read_text(errors="replace").splitlines()
    if marks:
        at = [number for number, line in enumerate(lines) if rival_stores.BEGIN in line or rival_stores.END in line]
        lines = lines[at[0]:at[-1]]
    return sum(1 for line in lines if re.search(rf"\b({SYNCS.replace(',', '|')})\(", line))


class Run:
    """One of everything, each database in a new directory."""

    def __init__(self, options, scratch):
        self.options, self.scratch, self.number = options, scratch, 0
        self.data = common.data_set(common.absolute(options.data))
        self.base = self.data[:2]

    def directory(self):
        self.number += 1
        return str(pathlib.Path(self.scratch) / f"store-{self.number}")

    def ours(self, subcommand, *more, keep=None):
        data = self.data if subcommand in ("ingest", "beside") else self.base
        directory = keep or self.directory()
        command = common.program("store", self.options.bin_dir) + [subcommand, *data, "--directory", directory, *map(str, more)]
        lines = common.json_lines(command)
        if keep is None:
            shutil.rmtree(directory)
        return lines

    def open(self, directory):
        """Our database opened in a process of its own, and the first answer."""
        command = common.program("open", self.options.bin_dir) + ["query", "--directory", directory, *self.data[2:], "--ef", "--verify", "background"]
        return [{"phase": "open", **line} for line in common.json_lines(command)]

    def ragstone(self):
        kept = self.directory()
        lines = self.ours("ingest", keep=kept) + self.open(kept)
        shutil.rmtree(kept)
        lines += self.ours("single")
        # One thread for each kind of work, as on a machine that does something else besides.
        lines += self.ours("beside", "--threads", 1, "--seconds", self.options.seconds)
        lines += self.ours("recovery") + self.ours("turnover")
        # Written in small lots with rests, which is when the database merges most.
        lines += self.ours("turnover", "--times", 2, "--rest-rows", 6_000, "--rest-s", 3)
        if self.options.million:
            kept = self.directory()
            lines += [{**line, "million": True} for line in self.ours("ingest", "--rows", 1_000_000, "--ef", keep=kept) + self.open(kept)]
            shutil.rmtree(kept)
        traced = common.program("store", self.options.bin_dir) + ["ingest", *self.data, "--directory", self.directory(), "--rows", str(TRACED_ROWS), "--ef"]
        return lines + [{"phase": "syncs", "rows": TRACED_ROWS, "syncs": syncs(traced, "ragstone", self.scratch)}]

    def rival(self, name):
        script = [sys.executable, str(pathlib.Path(rival_stores.__file__)), name, "--data", common.absolute(self.options.data)]
        lines = common.json_lines(script + ["--directory", self.directory()])
        traced = script + ["--directory", self.directory(), "--rows", str(TRACED_ROWS), "--writes-only"]
        return lines + [{"phase": "syncs", "rows": TRACED_ROWS, "syncs": syncs(traced, name, self.scratch)}]


def of(lines, phase, **wanted):
    """The first line of a phase."""
    matches = (line for line in lines if line["phase"] == phase and all(line.get(key) == value for key, value in wanted.items()))
    return next(matches, {})


def speeds(lines):
    points = [(line["recall_at_10"], line["qps"]) for line in lines if line["phase"] == "search"]
    return [common.value_at(points, recall) for recall in RECALLS]


def cell(value, form="{:,.0f}"):
    return "-" if value is None else form.format(value)


def markdown(head, rows):
    line = lambda cells: "| " + " | ".join(map(str, cells)) + " |"
    return [line(head), line(["---"] * len(head)), *map(line, rows), ""]


def beside_rivals(stores):
    best = speeds(stores["ragstone"])
    rows = []
    for name, lines in stores.items():
        ingest, found = of(lines, "ingest"), speeds(lines)
        times = [cell(mine / theirs, "{:.1f}") if mine and theirs else "-" for mine, theirs in zip(best, found)]
        synced = of(lines, "syncs").get("syncs")
        rows.append([name, cell(ingest.get("rows_per_s")), cell(synced), cell(ingest.get("indexed_after_s"), "{:.1f}"), *map(cell, found), *times,
                     cell(of(lines, "open").get("open_ms"), "{:.1f}"), cell(of(lines, "space").get("times_live"), "{:.2f}")])
    head = ["store", "rows/s, batches of 1,000", "syncs for 5 batches", "indexed after, s", *(f"q/s at {recall}" for recall in RECALLS),
            *(f"ours, times, at {recall}" for recall in RECALLS), "open, ms", "bytes on disk per live byte"]
    return markdown(head, rows)


def table(record):
    """store.md."""
    lines, machine = record["stores"]["ragstone"], record["machine"]
    single = [[line["writers"], cell(line["rows_per_s"]), cell(line["write_latency"]["p50_us"]), cell(line["write_latency"]["p99_us"])]
              for line in lines if line["phase"] == "single"]
    beside = [[line["writes"], cell(line["rows_per_s"]), cell(line["latency"]["p50_us"]), cell(line["latency"]["p99_us"]), cell(line["p99_to_idle"], "{:.2f}")]
              for line in lines if line["phase"] == "beside"]
    recovery = [[cell(line["rows"]), cell(line["log_bytes"] / 1e6, "{:,.1f}"), cell(line["open_ms"], "{:,.1f}"), cell(line["bytes_per_s"] / 1e6)]
                for line in lines if line["phase"] == "recovery"]
    turnover = [["with rests" if line["rests"] else "without a rest", line["times"], cell(line["rows_per_s"]), cell(line["written_per_byte"], "{:.2f}"), cell(line["times_live_at_most"], "{:.2f}"),
                 cell(line["times_live_at_rest"], "{:.2f}"), line["segments"]] for line in lines if line["phase"] == "turnover"]
    million = [line for line in lines if line.get("million")]
    largest = []
    if million:
        ingest, opened = of(million, "ingest"), of(million, "open")
        largest = [f"A million rows: {ingest['rows_per_s']:,} rows/s, all in one segment {ingest['indexed_after_s']:.0f} s later, opened in "
                   f"{opened['open_ms']:.1f} ms, first answer {opened['first_search_ms']:.1f} ms after.", ""]
    return "\n".join([
        "# The store", "",
        "Ours syncs every write before it acknowledges it. \"Syncs\": calls of fsync and its kin while five batches were written (strace); ours of the whole run,",
        "sealing included. \"Indexed after\": ours from the last acknowledgement until all rows are in one graph, unasked; of rivals what the call takes that",
        "builds the index, and Chroma has none. \"Open\": ours in a new process, a rival's again in the process that made it. Live bytes: vectors in f32, ids,",
        "fields. One thread searches, one query a call, through Python for the rivals, which make 16 links a node, ef_construction 200.", "",
        f"{machine['processor']}, {machine['cores']} cores, {record['date']}, {record['revision']}. `{record['command']}`", "",
        *beside_rivals(record["stores"]),
        "## Single rows, each synced (group commit)", "", *markdown(["threads that write", "rows/s", "p50, us", "p99, us"], single),
        "## Searches beside writes, one thread that builds", "", *markdown(["writes", "rows/s", "p50, us", "p99, us", "p99 to idle"], beside),
        "## Recovery from the log alone", "", *markdown(["rows", "log, MB", "open, ms", "MB/s"], recovery),
        "## Amplification", "",
        *markdown(["writes", "times every row is written", "rows/s", "bytes written per byte accepted", "most bytes on disk per live byte", "at rest", "segments at rest"], turnover),
        *largest])


def run():
    options = arguments()
    for name in ["numpy", *({"qdrant-edge": "qdrant_edge", "milvus-lite": "pymilvus", "chroma": "chromadb"}.get(name, name) for name in options.rivals)]:
        common.library(name)
    out = pathlib.Path(options.out)
    record = common.provenance() | {"stores": {}}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        measured = Run(options, scratch)
        record["stores"]["ragstone"] = measured.ragstone()
        for name in options.rivals:
            record["stores"][name] = measured.rival(name)
            # After each, so that a run that is broken off leaves what it has.
            common.save(out / "store.json", record)
    common.save(out / "store.json", record)
    (out / "store.md").write_text(table(record))
    print(f"wrote {out / 'store.md'}", file=sys.stderr)


if __name__ == "__main__":
    common.main(run)
