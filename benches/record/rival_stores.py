"""One embedded rival doing what the program `store` does: durable or not, ingest in batches, index, search, open again.

usage: rival_stores.py NAME --data DIR --directory DIR [--rows N] [--writes-only]
Prints JSON lines. Runs in a process of its own (`store.py` starts it), so that threads and memory of one rival don't meet another. Objects that a
library wants are made before the clock starts; three fields as in `benches/src/rows.rs`. With `--writes-only`, two calls of stat mark where
the writes begin and end, for a tracer to see.
needs: pip install numpy qdrant-edge-py lancedb pyarrow chromadb pymilvus milvus-lite
"""
import argparse
import json
import os
import pathlib
import statistics
import time

import common

BATCH = 1_000
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256]
DEGREE, EF_CONSTRUCTION = 16, 200
# A width is measured again, up to three times in all, while its rounds took less than this.
ROUNDS_S = 10
# Rows that LanceDB compares again for each result; its width is at least as many.
LANCE_REFINED = 3
BEGIN, END = "/ragstone-writes-begin", "/ragstone-writes-end"


def fields(row):
    return {"category": row % 100, "source": f"source-{row % 1000:05}", "weight": row % 1024 / 1024}


class Qdrant:
    """Qdrant Edge: a write goes to its log; `optimize` builds the graph when it is called."""

    def __init__(self, directory, dimension=None):
        self.edge = edge = common.library("qdrant_edge")
        if dimension is None:
            self.shard = edge.EdgeShard.load(directory)
            return
        graph = edge.HnswIndexConfig(m=DEGREE, ef_construct=EF_CONSTRUCTION, full_scan_threshold=10_000)
        vectors = edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Dot)
        os.makedirs(directory)
        self.shard = edge.EdgeShard.create(directory, edge.EdgeConfig(vectors=vectors, hnsw_config=graph))

    def batch(self, ids, vectors):
        return [self.edge.Point(id=row, vector=vector.tolist(), payload=fields(row)) for row, vector in zip(ids, vectors)]

    def write(self, batch):
        self.shard.update(self.edge.UpdateOperation.upsert_points(batch))

    def index(self):
        self.shard.optimize()

    def search(self, query, ef):
        request = self.edge.SearchRequest(query=self.edge.Query.Nearest(query), limit=common.K, params=self.edge.SearchParams(hnsw_ef=ef))
        return [point.id for point in self.shard.search(request)]

    query = staticmethod(lambda row: row.tolist())

    def close(self):
        self.shard.close()


class Lance:
    """LanceDB: a write is a new file; the graph (one partition, 8-bit codes, the best re-ranked by the rows) is built when it is asked for."""

    def __init__(self, directory, dimension=None):
        self.arrow, self.db = common.library("pyarrow"), common.library("lancedb").connect(directory)
        self.table = None if dimension else self.db.open_table("rows")

    def batch(self, ids, vectors):
        arrow, of = self.arrow, [fields(row) for row in ids]
        columns = {"id": arrow.array(ids, arrow.int64()),
                   "vector": arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), vectors.shape[1])}
        return arrow.table(columns | {name: arrow.array([row[name] for row in of]) for name in of[0]})

    def write(self, batch):
        if self.table is None:
            self.table = self.db.create_table("rows", batch)
        else:
            self.table.add(batch)

    def index(self):
        self.table.create_index(metric="dot", index_type="IVF_HNSW_SQ", num_partitions=1, m=DEGREE, ef_construction=EF_CONSTRUCTION)
        self.table.optimize()

    def search(self, query, ef):
        found = self.table.search(query).distance_type("dot").limit(common.K).nprobes(1).ef(max(ef, common.K * LANCE_REFINED)).refine_factor(LANCE_REFINED)
        return found.select(["id"]).to_arrow()["id"].to_pylist()

    query = staticmethod(lambda row: row)

    def close(self):
        self.table = self.db = None


class Chroma:
    """Chroma: rows into SQLite, and into its graph in batches meanwhile; there is no call that waits for it."""

    def __init__(self, directory, dimension=None):
        self.client = common.library("chromadb").PersistentClient(path=directory)
        if dimension is None:
            self.collection = self.client.get_collection("rows")
        else:
            graph = {"space": "ip", "ef_construction": EF_CONSTRUCTION, "max_neighbors": DEGREE}
            self.collection = self.client.create_collection("rows", configuration={"hnsw": graph})
        self.ef = None

    def batch(self, ids, vectors):
        return {"ids": [str(row) for row in ids], "embeddings": vectors, "metadatas": [fields(row) for row in ids]}

    def write(self, batch):
        self.collection.upsert(**batch)

    index = None

    def search(self, query, ef):
        if ef != self.ef:
            self.collection.modify(configuration={"hnsw": {"ef_search": ef}})
            self.ef = ef
        found = self.collection.query(query_embeddings=query, n_results=common.K, include=[])
        return [int(row) for row in found["ids"][0]]

    query = staticmethod(lambda row: row[None])

    def close(self):
        self.client.close() if hasattr(self.client, "close") else None


class Milvus:
    """Milvus Lite: a write goes to its log; `flush` makes a segment with its graph."""

    def __init__(self, directory, dimension=None):
        milvus = common.library("pymilvus")
        os.makedirs(directory, exist_ok=True)
        self.client = milvus.MilvusClient(os.path.join(directory, "rows.db"))
        if dimension is None:
            self.client.load_collection("rows")
            return
        schema, kind = self.client.create_schema(auto_id=False), milvus.DataType
        schema.add_field("id", kind.INT64, is_primary=True)
        schema.add_field("vector", kind.FLOAT_VECTOR, dim=dimension)
        schema.add_field("category", kind.INT64)
        schema.add_field("source", kind.VARCHAR, max_length=64)
        schema.add_field("weight", kind.DOUBLE)
        graph = self.client.prepare_index_params()
        graph.add_index("vector", index_type="HNSW", metric_type="IP", params={"M": DEGREE, "efConstruction": EF_CONSTRUCTION})
        self.client.create_collection("rows", schema=schema, index_params=graph)

    def batch(self, ids, vectors):
        return [{"id": row, "vector": vector.tolist()} | fields(row) for row, vector in zip(ids, vectors)]

    def write(self, batch):
        self.client.upsert("rows", batch)

    def index(self):
        self.client.flush("rows")
        self.client.load_collection("rows")
        while self.client.describe_index("rows", "vector").get("pending_index_rows"):
            time.sleep(0.02)

    def search(self, query, ef):
        return [hit["id"] for hit in self.client.search("rows", data=query, limit=common.K, search_params={"params": {"ef": ef}})[0]]

    query = staticmethod(lambda row: [row.tolist()])

    def close(self):
        self.client.close()


RIVALS = {"qdrant-edge": Qdrant, "lancedb": Lance, "chroma": Chroma, "milvus-lite": Milvus}


def say(**line):
    print(json.dumps(line), flush=True)


def bytes_of(directory):
    return sum(path.stat().st_size for path in pathlib.Path(directory).rglob("*") if path.is_file())


def quantile(seconds, share):
    return round(sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1e6, 1)


def ingest(store, batches, rows):
    """Writes and indexes; seconds of each."""
    os.path.exists(BEGIN)
    latencies, start = [], time.perf_counter()
    for batch in batches:
        begun = time.perf_counter()
        store.write(batch)
        latencies.append(time.perf_counter() - begun)
    seconds = time.perf_counter() - start
    os.path.exists(END)
    latency = {"p50_us": quantile(latencies, 0.5), "p99_us": quantile(latencies, 0.99), "mean_us": round(statistics.mean(latencies) * 1e6, 1)}
    return {"phase": "ingest", "rows": rows, "batch": BATCH, "seconds": round(seconds, 2), "rows_per_s": round(rows / seconds),
            "write_latency": latency}


def run():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RIVALS, help="which one")
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set")
    parser.add_argument("--directory", required=True, metavar="DIR", help="where the database is made; it must not exist yet")
    parser.add_argument("--rows", type=int, metavar="N", help="rows to write; all of them by default")
    parser.add_argument("--queries", type=int, default=500, metavar="N", help="queries of a measurement (default: %(default)s)")
    parser.add_argument("--writes-only", action="store_true", help="neither index nor search")
    options = parser.parse_args()
    base, query, truth = common.load(options.data)
    base, query, truth = base[:options.rows], query[:options.queries], truth[:options.queries, :common.K]
    rows, kind = len(base), RIVALS[options.name]
    store = kind(options.directory, base.shape[1])
    starts = range(0, rows, BATCH)
    batches = [store.batch(list(range(start, min(start + BATCH, rows))), base[start:start + BATCH]) for start in starts]
    line = ingest(store, batches, rows)
    if options.writes_only:
        return say(**line)
    del batches
    if store.index:
        start = time.perf_counter()
        store.index()
        line["indexed_after_s"] = round(time.perf_counter() - start, 2)
    say(**line)
    queries = [store.query(row) for row in query]
    for ef in EFS:
        seconds = []
        while len(seconds) < 3 and sum(seconds) < ROUNDS_S:
            start = time.perf_counter()
            found = [store.search(row, ef) for row in queries]
            seconds.append(time.perf_counter() - start)
        say(phase="search", setting=str(ef), recall_at_10=round(common.recall(found, truth), 4), qps=round(len(queries) / statistics.median(seconds)))
    store.close()
    live = rows * (base.shape[1] * 4 + 36)
    used = bytes_of(options.directory)
    say(phase="space", live_bytes=live, bytes=used, times_live=round(used / live, 2))
    start = time.perf_counter()
    store = kind(options.directory)
    opened = time.perf_counter() - start
    store.search(queries[0], EFS[0])
    say(phase="open", open_ms=round(opened * 1e3, 1), first_answer_ms=round((time.perf_counter() - start) * 1e3, 1))
    store.close()


if __name__ == "__main__":
    common.main(run)
