"""One vector store as Python programs have it, doing what it is told line by line: write, index, search.

usage: python_stores.py NAME --data DIR --directory DIR [--server-bin FILE] [--rows N] [--searches N]
`python_clients.py` starts one for each store and has them search in turn. Standard input has `write`, `search` and `client` (ours over a server alone: the CPU time that
its searches take beside bare calls with the same bytes), standard output JSON lines. Vectors are NumPy's, as programs have them; whatever a library wants made
of them is within the time.
needs: pip install numpy and the library: ragstone (clients/python), qdrant-client, qdrant-edge-py, chromadb, lancedb pyarrow, pymilvus milvus-lite
"""
import argparse
import importlib.metadata
import itertools
import json
import os
import pathlib
import queue
import resource
import statistics
import subprocess
import sys
import threading
import time

import common

BATCH = 1_000
# Searches of one kind before the other kind has its turn, where two are compared.
BLOCK = 200
PATIENCE_S = 60


class Ragstone:
    """Ours over a server, which this process starts, on the loopback interface."""

    library, package = "ragstone", "ragstone"

    def __init__(self, directory, dimension, server_bin):
        self.ragstone = common.library("ragstone")
        self.client = self.connect(directory, server_bin)
        self.rows = self.client.create_collection("rows", dimension=dimension, metric="dot")

    def connect(self, directory, server_bin):
        if not server_bin or not os.path.isfile(server_bin):
            raise common.Absent("no server: --server-bin FILE (cargo build --release --bin ragstone)")
        command = [server_bin, "--data", directory, "--offline", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        addresses = queue.Queue()
        threading.Thread(target=addresses_of, args=(self.process.stderr, addresses), daemon=True).start()
        address = addresses.get(timeout=PATIENCE_S)
        if not address:
            raise common.Absent(f"{server_bin} ended before it named its address")
        self.target = address
        return self.ragstone.connect(f"http://{address}")

    def write(self, ids, vectors):
        self.rows.upsert_columns(ids, vectors)

    def index(self):
        """Waits until all rows are linked, in one segment."""
        while True:
            [stats] = [one for one in self.client.stats().collections if one.name == "rows"]
            if stats.unlinked_points == 0 and stats.sealed_segments + (stats.growing_points > 0) == 1:
                return
            time.sleep(0.05)

    def search(self, query):
        return [hit.id for hit in self.rows.search(query, common.K)]

    def close(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(PATIENCE_S)


class Embedded(Ragstone):
    """Ours in this process."""

    library, package = "ragstone_embedded", "ragstone-embedded"

    def connect(self, directory, _server_bin):
        common.library("ragstone_embedded")
        return self.ragstone.open(directory)

    def close(self):
        self.client.close()


class QdrantMemory:
    """qdrant-client's local mode, which compares with every row, in NumPy; in memory alone, so that nothing is kept."""

    library, package = "qdrant_client", "qdrant-client"
    place = staticmethod(lambda _directory: {"location": ":memory:"})
    index = None

    def __init__(self, directory, dimension, _server_bin):
        self.models = common.library("qdrant_client").models
        self.client = common.library("qdrant_client").QdrantClient(**self.place(directory))
        self.client.create_collection("rows", self.models.VectorParams(size=dimension, distance=self.models.Distance.DOT))

    def write(self, ids, vectors):
        self.client.upsert("rows", self.models.Batch(ids=ids, vectors=vectors.tolist()))

    def search(self, query):
        return [point.id for point in self.client.query_points("rows", query, limit=common.K).points]

    def close(self):
        self.client.close()


class QdrantLocal(QdrantMemory):
    """The same in a directory: each point is a transaction of its own there."""

    place = staticmethod(lambda directory: {"path": directory})


class QdrantEdge:
    """Qdrant Edge; `optimize` builds the graph."""

    library, package = "qdrant_edge", "qdrant-edge-py"

    def __init__(self, directory, dimension, _server_bin):
        self.edge = edge = common.library("qdrant_edge")
        os.makedirs(directory)
        vectors = edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Dot)
        self.shard = edge.EdgeShard.create(directory, edge.EdgeConfig(vectors=vectors))

    def write(self, ids, vectors):
        points = [self.edge.Point(id=row, vector=vector, payload={}) for row, vector in zip(ids, vectors)]
        self.shard.update(self.edge.UpdateOperation.upsert_points(points))

    def index(self):
        self.shard.optimize()

    def search(self, query):
        request = self.edge.SearchRequest(query=self.edge.Query.Nearest(query), limit=common.K)
        return [point.id for point in self.shard.search(request)]

    def close(self):
        self.shard.close()


class Chroma:
    """Chroma: rows go into its graph as they come."""

    library, package = "chromadb", "chromadb"
    index = None

    def __init__(self, directory, _dimension, _server_bin):
        chromadb = common.library("chromadb")
        client = chromadb.PersistentClient(directory, settings=chromadb.Settings(anonymized_telemetry=False))
        self.rows = client.create_collection("rows", configuration={"hnsw": {"space": "ip"}}, embedding_function=None)

    def write(self, ids, vectors):
        self.rows.upsert(ids=list(map(str, ids)), embeddings=vectors)

    def search(self, query):
        return list(map(int, self.rows.query(query_embeddings=query[None], n_results=common.K, include=[])["ids"][0]))

    def close(self):
        pass


class Lance:
    """LanceDB without an index: compares with every row."""

    library, package = "lancedb", "lancedb"
    index = None

    def __init__(self, directory, _dimension, _server_bin):
        self.arrow, self.db, self.table = common.library("pyarrow"), common.library("lancedb").connect(directory), None

    def write(self, ids, vectors):
        arrow = self.arrow
        column = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), vectors.shape[1])
        rows = arrow.table({"id": arrow.array(ids, arrow.int64()), "vector": column})
        self.table = self.table or self.db.create_table("rows", schema=rows.schema)
        # As an upsert, which is what the others do, too.
        self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def search(self, query):
        found = self.table.search(query).distance_type("dot").limit(common.K).select(["id", "_distance"])
        return found.to_arrow()["id"].to_pylist()

    def close(self):
        pass


class LanceDefault(Lance):
    """LanceDB with the index that it makes where none is named: product quantisation."""

    kind = "IVF_PQ"

    def index(self):
        self.table.optimize()
        self.table.create_index(metric="dot", vector_column_name="vector", index_type=self.kind)


class LanceGraph(LanceDefault):
    """LanceDB with the graphs that it recommends for recall: 8-bit codes."""

    kind = "IVF_HNSW_SQ"


class Milvus:
    """Milvus Lite; `flush` makes a segment with its index."""

    library, package = "pymilvus", "milvus-lite"

    def __init__(self, directory, dimension, _server_bin):
        milvus = common.library("pymilvus")
        common.library("milvus_lite")
        os.makedirs(directory)
        self.client = milvus.MilvusClient(os.path.join(directory, "rows.db"))
        self.client.create_collection("rows", dimension=dimension, metric_type="IP")

    def write(self, ids, vectors):
        self.client.upsert("rows", [{"id": row, "vector": vector} for row, vector in zip(ids, vectors)])

    def index(self):
        self.client.flush("rows")
        while self.client.describe_index("rows", "vector").get("pending_index_rows"):
            time.sleep(0.05)

    def search(self, query):
        return [hit["id"] for hit in self.client.search("rows", data=[query], limit=common.K)[0]]

    def close(self):
        self.client.close()


STORES = {
    "ragstone": Ragstone, "ragstone-embedded": Embedded, "qdrant-local": QdrantLocal, "qdrant-local-memory": QdrantMemory, "qdrant-edge": QdrantEdge, "chroma": Chroma,
    "lancedb": LanceDefault, "lancedb-hnsw-sq": LanceGraph, "lancedb-no-index": Lance, "milvus-lite": Milvus,
}


def addresses_of(lines, addresses):
    """Puts the address that a server names into a queue, and reads on, so that it never waits for a full pipe."""
    for line in lines:
        try:
            address = json.loads(line).get("address")
        except ValueError:
            continue
        if address:
            addresses.put(address)
    addresses.put("")


def quantile(seconds, share):
    return round(sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1e6, 1)


def write(store, base, options):
    """All rows, in batches; a store that takes too long over them is done with."""
    starts = range(0, len(base), BATCH)
    begun = time.perf_counter()
    for start in starts:
        store.write(list(range(start, min(start + BATCH, len(base)))), base[start:start + BATCH])
        if time.perf_counter() - begun > options.write_s:
            written = min(start + BATCH, len(base))
            raise common.Absent(f"{written / (time.perf_counter() - begun):,.0f} rows/s: {written:,} rows were written within {options.write_s:g} s")
    seconds = time.perf_counter() - begun
    line = {"phase": "write", "rows": len(base), "seconds": round(seconds, 2), "rows_per_s": round(len(base) / seconds)}
    if store.index:
        begun = time.perf_counter()
        store.index()
        line["indexed_after_s"] = round(time.perf_counter() - begun, 2)
    return line


def search(store, query, options):
    """A round: so many searches, one after the other, or as many as there is time for."""
    latencies, found = [], []
    cpu, begun = time.process_time(), time.perf_counter()
    for vector in itertools.islice(itertools.cycle(query), options.searches):
        start = time.perf_counter()
        ids = store.search(vector)
        latencies.append(time.perf_counter() - start)
        if len(found) < len(query):
            found.append(ids)
        if time.perf_counter() - begun > options.round_s:
            break
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {"phase": "search", "searches": len(latencies), "qps": round(len(latencies) / seconds, 1), "p50_us": quantile(latencies, 0.5),
            "p99_us": quantile(latencies, 0.99), "cpu_us": round(cpu / len(latencies) * 1e6, 1), "found": found}


class Recording:
    """A transport that keeps what goes through it."""

    def __init__(self, inner):
        self.inner, self.calls = inner, []

    def unary(self, path, request, timeout):
        self.calls.append((path, request, timeout))
        return self.inner.unary(path, request, timeout)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def client(store, query, options):
    """CPU time of this process a search: through the client, and by gRPC alone with the bytes that the client sends; in turn, in blocks."""
    grpc, ragstone = common.library("grpc"), store.ragstone
    recording = Recording(store.client._core.transport)
    recorded = ragstone.Client.over(recording).collection("rows")
    for vector in query:
        recorded.search(vector, common.K)
    channel = grpc.insecure_channel(store.target, options=store.client._core.transport._endpoint.options)
    call = channel.unary_unary(recording.calls[0][0])
    bare = lambda number: call(recording.calls[number % len(query)][1], recording.calls[0][2], ())
    whole = lambda number: store.search(query[number % len(query)])
    spent, numbers = {"client": [], "bare": []}, itertools.count()
    for _ in range(max(2, options.searches // BLOCK)):
        for name, one in (("client", whole), ("bare", bare)):
            block = list(itertools.islice(numbers, BLOCK))
            begun = time.process_time()
            for number in block:
                one(number)
            spent[name].append((time.process_time() - begun) / BLOCK * 1e6)
    channel.close()
    whole, bare = (statistics.median(spent[name]) for name in ("client", "bare"))
    return {"phase": "client", "blocks": len(spent["bare"]), "total_us": round(whole, 1), "bare_grpc_us": round(bare, 1), "added_us": round(whole - bare, 1)}


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def say(**line):
    print(json.dumps(line), flush=True)


def run():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=STORES, help="which one")
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set")
    parser.add_argument("--directory", required=True, metavar="DIR", help="where the database is made; it must not exist yet")
    parser.add_argument("--server-bin", metavar="FILE", help="our server")
    parser.add_argument("--rows", type=int, metavar="N", help="rows to write; all of them by default")
    parser.add_argument("--searches", type=int, default=10_000, metavar="N", help="searches of a round (default: %(default)s)")
    parser.add_argument("--write-s", type=float, default=600, metavar="S", help="seconds that writing may take (default: %(default)s)")
    parser.add_argument("--round-s", type=float, default=60, metavar="S", help="seconds of a round at most (default: %(default)s)")
    options = parser.parse_args()
    base, query, _ = common.load(options.data)
    base, query = base[:options.rows], query[:options.searches]
    kind = STORES[options.name]
    store = kind(options.directory, base.shape[1], options.server_bin)
    say(phase="begin", version=version(kind.package))
    try:
        for command in sys.stdin:
            match command.strip():
                case "write":
                    say(**write(store, base, options))
                case "search":
                    say(**search(store, query, options))
                case "client":
                    say(**client(store, query, options))
        say(phase="end", resident_bytes_max=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    finally:
        store.close()


if __name__ == "__main__":
    common.main(run)
