"""What the scripts of this folder share: running our programs, reading curves, and saying where and when a record was made."""
import datetime
import json
import math
import os
import pathlib
import platform
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
K = 10
FILES = {"base": "base.f16.npy", "query": "query.f32.npy", "truth": "groundtruth100.u32.npy"}


class Absent(Exception):
    """Data, a library or a program that is needed and not there."""


def main(run):
    """Runs a script; what is absent or failed is said in one line."""
    try:
        run()
    except Absent as absent:
        sys.exit(f"error: {absent}")


def data_set(directory):
    """The three files of a data set, as arguments of our programs."""
    directory = pathlib.Path(directory)
    arguments = []
    for name, file in FILES.items():
        if not (directory / file).is_file():
            raise Absent(f"{directory} has no {file}; a data set has {', '.join(FILES.values())}")
        arguments += [f"--{name}", str(directory / file)]
    return arguments


def load(directory):
    """Rows and queries as float32, and the truth, of as many queries as both have."""
    import numpy as np

    data_set(directory)
    directory = pathlib.Path(directory)
    base = np.ascontiguousarray(np.load(directory / FILES["base"]), dtype=np.float32)
    query = np.ascontiguousarray(np.load(directory / FILES["query"]), dtype=np.float32)
    truth = np.load(directory / FILES["truth"])
    both = min(len(query), len(truth))
    return base, query[:both], truth[:both]


def library(name):
    """A Python library, or what to do about its absence."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        package = {"faiss": "faiss-cpu"}.get(name, name)
        raise Absent(f"the library {name} is absent: pip install {package}") from None


def program(name, bin_dir):
    """How one of our programs is called: built and run by cargo, or as it lies in a directory."""
    if bin_dir is None:
        return ["cargo", "run", "--release", "-q", "-p", "ragstone-benches", "--bin", name, "--"]
    path = pathlib.Path(bin_dir) / name
    if not path.is_file():
        raise Absent(f"{path} is absent: cargo build --release -p ragstone-benches")
    return [str(path.resolve())]


def json_lines(command):
    """The JSON objects that a command prints, shown as they come; other lines are left out."""
    print("$", shown(command), file=sys.stderr, flush=True)
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                print(line, end="", file=sys.stderr, flush=True)
                lines.append(value)
    if process.returncode:
        raise Absent(f"{shown(command)} ended with {process.returncode}")
    return lines


def shown(command):
    """A command without the directories of the machine that it ran on."""
    def short(word):
        option, sign, value = word.rpartition("=")
        return f"{option}{sign}{pathlib.PurePath(value).name}" if os.path.isabs(value) else word
    return shlex.join(short(word) for word in command)


def absolute(path):
    """Our programs run in the project's root, whatever the directory that a script was started in."""
    return str(pathlib.Path(path).resolve())


def provenance():
    """Machine, date, revision and command: what makes a record one."""
    return {
        "command": shown([os.path.basename(sys.executable), os.path.relpath(sys.argv[0], ROOT)] + sys.argv[1:]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": first_line(["git", "describe", "--always", "--dirty"]),
        "rustc": first_line(["rustc", "--version"]),
        "machine": {
            "processor": field("/proc/cpuinfo", "model name"),
            "cores": os.cpu_count(),
            "vector_flags": [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
                             if flag in (field("/proc/cpuinfo", "flags") or "").split()],
            "last_level_cache": cache_size(),
            "memory": field("/proc/meminfo", "MemTotal"),
            "load_before": os.getloadavg()[0],
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
    }


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip().split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return None


def field(file, name):
    try:
        lines = pathlib.Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def cache_size():
    sizes = sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    return sizes[-1].read_text().strip() if sizes else None


def resident_bytes():
    """Bytes of this process in memory (Linux)."""
    value = field("/proc/self/status", "VmRSS")
    return int(value.split()[0]) * 1024 if value else 0


def recall(found, truth):
    """Share of the true rows that were found, over all queries; a query finds ids or fewer."""
    wanted = sum(len(row) for row in truth)
    hits = sum(len(set(map(int, row[:K])) & set(map(int, true))) for row, true in zip(found, truth))
    return hits / wanted if wanted else 1.0


def value_at(points, wanted):
    """The larger-is-better value at a recall: log-linear between neighbours on the upper envelope; None past its last point."""
    envelope = []
    for x, y in sorted(points, key=lambda point: (-point[0], -point[1])):
        if not envelope or y > envelope[-1][1]:
            envelope.append((x, y))
    envelope.reverse()
    if not envelope or envelope[-1][0] < wanted:
        return None
    if envelope[0][0] >= wanted:
        return envelope[0][1]
    for (x0, y0), (x1, y1) in zip(envelope, envelope[1:]):
        if x0 <= wanted <= x1:
            return math.exp(math.log(y0) + (math.log(y1) - math.log(y0)) * (wanted - x0) / (x1 - x0))
    return None


def save(path, value):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")
    print(f"wrote {path}", file=sys.stderr)
