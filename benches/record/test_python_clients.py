"""The pure parts of python_clients.py."""
import unittest

import python_clients
import python_stores

ROUNDS = [{"searches": 10, "qps": qps, "p50_us": 1000 / qps, "p99_us": 9.0, "cpu_us": 90.0, "recall_at_10": 0.98} for qps in (30.0, 10.0, 20.0)]


def record():
    ours = {"version": "0.1.0", "write": {"rows_per_s": 50000, "indexed_after_s": 3.0}, "rounds": ROUNDS, "search": python_clients.merged(ROUNDS),
            "client": {"total_us": 190.4, "bare_grpc_us": 100.0, "added_us": 90.4}}
    return {"machine": {"processor": "P", "cores": 2}, "date": "D", "revision": "R", "command": "C", "rows": 1000, "dimension": 8,
            "stores": {"ragstone": ours, "chroma": {"left_out": "the library chromadb is absent"}, "lancedb": {"version": None, "rounds": []}}}


class Table(unittest.TestCase):
    def test_every_store_has_its_row(self):
        table = python_clients.table(record())
        for part in ["| ragstone | 0.1.0 | 50,000 | 3.0 | 0.980 | 20 | 50 | 9 | 90 |", "| chroma | - | left out: the library chromadb is absent |",
                     "| lancedb | - | - | - | - | - | - | - | - |", "| 190 | 100 | 90 | 150 |"]:
            self.assertIn(part, table)

    def test_without_ours_nothing_is_said_of_the_client(self):
        without = record()
        del without["stores"]["ragstone"]
        self.assertNotIn("What the client adds", python_clients.table(without))

    def test_rounds_become_medians(self):
        line = python_clients.merged(ROUNDS)
        self.assertEqual((line["qps"], line["p50_us"], line["searches"]), (20.0, 50.0, [10, 10, 10]))

    def test_an_address_is_found_among_lines(self):
        found = python_stores.queue.Queue()
        python_stores.addresses_of(["no json", '{"level": "info"}', '{"address": "127.0.0.1:1"}'], found)
        self.assertEqual([found.get(), found.get()], ["127.0.0.1:1", ""])

    def test_the_nearest_rows_are_found_exactly(self):
        try:
            import numpy as np
        except ImportError:
            self.skipTest("numpy is absent")
        random = np.random.default_rng(1)
        base, query = random.normal(size=(500, 6)).astype("f4"), random.normal(size=(450, 6)).astype("f4")
        self.assertTrue((python_clients.exact(base, query) == np.argsort(-(query @ base.T), axis=1)[:, :10]).all())


if __name__ == "__main__":
    unittest.main()
