"""The curve over sizes, Ragstone beside hnswlib in one run: build time, queries per second and distances at a recall, bytes, recall against ef.

usage: scale.py --real DIR [--sizes 60000 250000 1000000] [--work DIR] [--out DIR]
DIR holds base.f16.npy, query.f32.npy and groundtruth100.u32.npy. The sets of each size are grown from its rows into --work by
the program `grow` (the real rows first), and kept there. A set of as many rows as the real one, but grown from a quarter of them, is
measured too: what its recall against ef differs by from the real set's is what growing does. Writes scale.json and scale.png.
needs: pip install numpy hnswlib matplotlib
"""
import argparse
import gc
import json
import pathlib
import statistics
import subprocess
import sys
import time

import common

RECALL = 0.95
EFS = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", required=True, metavar="DIR", help="the real data set")
    parser.add_argument("--sizes", type=int, nargs="+", default=[60_000, 250_000, 1_000_000], metavar="N", help="rows of each set")
    parser.add_argument("--work", default="target/grown", metavar="DIR", help="where grown sets are kept (default: %(default)s)")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent), metavar="DIR", help="where the record is written")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="builds and measurements of each, alternating; medians count")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads that build (default: %(default)s)")
    parser.add_argument("--encoding", nargs="+", default=[], metavar="NAME", help="encodings of ours; by default the program's default")
    parser.add_argument("--one-segment", action="store_true", help="seal each set of ours as one segment, whatever its size")
    parser.add_argument("--no-check", action="store_true", help="leave out the set that is grown from a quarter of the real rows")
    parser.add_argument("--bin-dir", metavar="DIR", help="where our programs lie; by default cargo builds and runs them")
    parser.add_argument("--rival", metavar="DIR", help=argparse.SUPPRESS)
    return parser.parse_args()


def rival(directory, threads):
    """hnswlib on one set, in a process of its own, so that its memory is its own."""
    hnswlib = common.library("hnswlib")
    base, query, truth = common.load(directory)
    truth = truth[:, :common.K]
    gc.collect()
    index = hnswlib.Index("ip", base.shape[1])
    before, start = common.resident_bytes(), time.perf_counter()
    index.init_index(len(base), ef_construction=200, M=16, random_seed=1)
    index.set_num_threads(threads)
    index.add_items(base)
    seconds, grown = time.perf_counter() - start, common.resident_bytes() - before
    say = lambda **line: print(json.dumps({"index": "hnswlib", **line}), flush=True)
    # A walk reads a row, its links and its id: what a node of the base layer takes.
    hot = base.shape[1] * 4 + 32 * 4 + 4
    say(rows=len(base), build_s=round(seconds, 2), resident_bytes_per_vector=round(grown / len(base)), hot_bytes_per_vector=hot)
    index.set_num_threads(1)
    for ef in EFS:
        index.set_ef(ef)
        index.knn_query(query[:100], common.K)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            found, _ = index.knn_query(query, common.K)
            times.append(time.perf_counter() - start)
        say(setting=str(ef), recall_at_10=round(common.recall(found, truth), 4), qps=round(len(query) / sorted(times)[1]))


def grow(options, rows, real_rows=None):
    """The directory of a grown set, and what `grow` printed about it."""
    name = f"{rows}" if real_rows is None else f"{rows}-from-{real_rows}"
    directory = pathlib.Path(common.absolute(options.work)) / f"{pathlib.Path(options.real).name}-{name}"
    evidence = directory / "spacing.json"
    if not evidence.is_file():
        files = common.data_set(common.absolute(options.real))
        command = common.program("grow", options.bin_dir) + files[:4] + ["--rows", str(rows), "--out", str(directory)]
        command += [] if real_rows is None else ["--real-rows", str(real_rows)]
        evidence.write_text(json.dumps(common.json_lines(command)))
    return directory, json.loads(evidence.read_text())


def measured(options, directory):
    """Both libraries on a set: index -> cost, curve and what stands at the recall."""
    ours = common.program("scale", options.bin_dir) + common.data_set(directory)
    ours += ["--recall", str(RECALL), "--build-threads", str(options.threads)]
    ours += ["--encoding", *options.encoding] if options.encoding else []
    ours += ["--segment-rows", str(1 << 40)] if options.one_segment else []
    theirs = [sys.executable, str(pathlib.Path(__file__).resolve()), "--real", options.real, "--rival", str(directory), "--threads", str(options.threads)]
    rounds = [common.json_lines(command) for _ in range(options.rounds) for command in (ours, theirs)]
    indexes = {}
    for line in (line for lines in rounds for line in lines):
        entry = indexes.setdefault(line["index"], {"cost": [], "curve": {}})
        if "setting" in line:
            entry["curve"].setdefault(int(line["setting"]), []).append(line)
        elif "build_s" in line:
            entry["cost"].append(line)
    return {index: folded(entry) for index, entry in indexes.items()}


def folded(entry):
    """Medians over the rounds."""
    median = lambda lines, key: statistics.median(line[key] for line in lines) if all(key in line for line in lines) else None
    cost = {key: median(entry["cost"], key) for key in ("rows", "segments", "build_s", "resident_bytes_per_vector", "hot_bytes_per_vector")}
    keys = ("recall_at_10", "qps", "distances_per_query")
    curve = [{"ef": ef} | {key: median(lines, key) for key in keys} for ef, lines in sorted(entry["curve"].items())]
    qps = common.value_at([(point["recall_at_10"], point["qps"]) for point in curve], RECALL)
    counted = [(point["recall_at_10"], 1 / point["distances_per_query"]) for point in curve if point["distances_per_query"]]
    inverse = common.value_at(counted, RECALL)
    return cost | {"qps_at": qps and round(qps), "distances_at": inverse and round(1 / inverse, 1), "curve": curve}


def plot(record, path):
    pyplot = common.library("matplotlib").pyplot
    figure, axes = pyplot.subplots(2, 3, figsize=(16, 9))
    sets = [entry for entry in record["sets"] if entry["grown_from"] == "all"]
    indexes = sorted({index for entry in sets for index in entry["indexes"]})
    panels = [("build_s", "build, seconds"), ("qps_at", f"queries per second at recall@10 = {RECALL}"),
              ("distances_at", f"distances per query at recall@10 = {RECALL}"), ("resident_bytes_per_vector", "resident (and hot, dashed) bytes per row")]
    for axis, (key, title) in zip(axes.flat, panels):
        for number, index in enumerate(indexes):
            rows = [(entry["rows"], entry["indexes"].get(index, {})) for entry in sets]
            points = [(size, values[key]) for size, values in rows if values.get(key)]
            if points:
                axis.plot(*zip(*points), "o-", color=f"C{number}", label=index)
            if key == "resident_bytes_per_vector":
                hot = [(size, values["hot_bytes_per_vector"]) for size, values in rows if values.get("hot_bytes_per_vector")]
                axis.plot(*zip(*hot), "--", color=f"C{number}")
        axis.set(title=title, xscale="log", xlabel="rows", yscale="log" if key == "build_s" else "linear")
        axis.set_ylim(**({} if key == "build_s" else {"bottom": 0}))
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend()
    ours = next((index for index in indexes if index != "hnswlib"), None)
    for axis, index in zip(axes.flat[4:], [ours, "hnswlib"]):
        for entry in record["sets"]:
            curve = entry["indexes"].get(index, {}).get("curve", [])
            kind = "o-" if entry["grown_from"] == "all" else "x--"
            label = f"{entry['rows']:,}" + ("" if entry["grown_from"] == "all" else f" grown from {entry['grown_from']:,}")
            axis.plot([point["ef"] for point in curve], [point["recall_at_10"] for point in curve], kind, label=label)
        axis.set(title=f"recall@10 against ef: {index}", xscale="log", xlabel="ef")
        axis.set_xticks(EFS[::2], labels=map(str, EFS[::2]), minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(title="rows")
    figure.suptitle(f"{record['machine']['processor']}, {record['threads']} build threads, 1 search thread, {record['date']}")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    print(f"wrote {path}", file=sys.stderr)


def run():
    options = arguments()
    if options.rival:
        return rival(options.rival, options.threads)
    for name in ("numpy", "hnswlib", "matplotlib.pyplot"):
        common.library(name)
    record = common.provenance() | {"at_recall": RECALL, "threads": options.threads, "rounds": options.rounds, "sets": []}
    record["absent"] = "hnswlib's Python interface does not count distances"
    real_rows = len(common.load(options.real)[0])
    wanted = [(rows, None) for rows in sorted(options.sizes)]
    if not options.no_check:
        checked = min(real_rows, max(options.sizes))
        wanted += [(checked, checked // 4)]
    for rows, grown_from in wanted:
        directory, spacing = grow(options, rows, grown_from)
        entry = {"rows": rows, "real_rows": min(rows, grown_from or real_rows), "grown_from": grown_from or "all",
                 "spacing": spacing, "indexes": measured(options, directory)}
        record["sets"].append(entry)
        # After each set, so that a run that is broken off leaves what it has.
        common.save(pathlib.Path(options.out) / "scale.json", record)
    plot(record, pathlib.Path(options.out) / "scale.png")


if __name__ == "__main__":
    common.main(run)
