"""How fast models embed beside other runtimes: both run in turn, several rounds, and the median of each figure is kept.

usage: embed.py --rivals SCRIPT [--rivals-python PYTHON] [--rounds 5] [--out FILE] [--bin-dir DIR]
SCRIPT prints JSON lines {"runtime", "batch", "tokens", "ms", "tokens_per_s"}, as our program `embed` does, of the same shapes. Ratios are of
tokens a second to those of `onnxruntime-f32` and `onnxruntime-int8`, where the script has them. By default the record is embed.json beside this script.
"""
import argparse
import pathlib
import statistics
import sys

import common

RIVALS = {"onnxruntime-f32": "ratio_to_onnxruntime_f32", "onnxruntime-int8": "ratio_to_onnxruntime_int8"}


def shape(line):
    """What a figure is of: the runtime, what it was given, and by how many callers at once, where it is of calls through the batching."""
    return line["runtime"], line.get("callers"), line["batch"], line["tokens"]


def medians(lines):
    """One line for each shape, in the order in which they came: medians of time and speed, the lowest cosine."""
    merged = []
    for key in dict.fromkeys(map(shape, lines)):
        same = [line for line in lines if shape(line) == key]
        line = dict(same[0], rounds=len(same))
        for name in ("ms", "tokens_per_s"):
            line[name] = round(statistics.median(one[name] for one in same), 2)
        if "cosine_min" in line:
            line["cosine_min"] = min(one["cosine_min"] for one in same)
        merged.append(line)
    return merged


def with_ratios(lines):
    """Ours with their speed over that of each rival on the same shape."""
    speeds = {shape(line): line["tokens_per_s"] for line in lines}
    for line in lines:
        if line["runtime"].startswith("ragstone") and "callers" not in line:
            for rival, name in RIVALS.items():
                theirs = speeds.get((rival,) + shape(line)[1:])
                if theirs:
                    line[name] = round(line["tokens_per_s"] / theirs, 3)
    return lines


def run():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", required=True, metavar="SCRIPT", help="what measures the others")
    parser.add_argument("--rivals-python", default=sys.executable, metavar="PYTHON", help="what runs it")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often both run")
    parser.add_argument("--out", metavar="FILE", help="the record")
    parser.add_argument("--bin-dir", metavar="DIR", help="where our program lies; by default cargo builds and runs it")
    options = parser.parse_args()
    record = common.provenance()
    ours, rivals = common.program("embed", options.bin_dir), [options.rivals_python, common.absolute(options.rivals)]
    lines = []
    for _ in range(options.rounds):
        lines += common.json_lines(rivals) + common.json_lines(ours)
    record["lines"] = with_ratios(medians(lines))
    common.save(options.out or pathlib.Path(__file__).parent / "embed.json", record)


if __name__ == "__main__":
    common.main(run)
