"""The pure parts of store.py."""
import unittest

import store

LATENCY = {"p50_us": 1.5, "p99_us": 3.0, "mean_us": 1.6}
SEARCHES = [{"phase": "search", "setting": "16", "recall_at_10": 0.94, "qps": 4000}, {"phase": "search", "setting": "64", "recall_at_10": 0.99, "qps": 1000}]


def record():
    ours = [{"phase": "ingest", "rows_per_s": 50000, "indexed_after_s": 3.0}, *SEARCHES, {"phase": "space", "times_live": 1.25}, {"phase": "open", "open_ms": 0.7},
            {"phase": "single", "writers": 4, "rows_per_s": 900, "write_latency": LATENCY}, {"phase": "syncs", "syncs": 7},
            {"phase": "beside", "writes": "paced", "rows_per_s": 2000, "latency": LATENCY, "p99_to_idle": 2.5},
            {"phase": "recovery", "rows": 1000, "log_bytes": 2000000, "open_ms": 5.0, "bytes_per_s": 4e8},
            {"phase": "turnover", "rests": False, "times": 10, "rows_per_s": 40000, "written_per_byte": 4.2, "times_live_at_most": 2.1, "times_live_at_rest": 1.3, "segments": 1},
            {"phase": "ingest", "rows_per_s": 30000, "indexed_after_s": 80.0, "million": True},
            {"phase": "open", "open_ms": 0.9, "first_search_ms": 2.0, "million": True}]
    theirs = [{"phase": "ingest", "rows_per_s": 20000, "indexed_after_s": 40.0}, {**SEARCHES[0], "qps": 400}, {**SEARCHES[1], "qps": 100},
              {"phase": "syncs", "syncs": 0}]
    return {"machine": {"processor": "P", "cores": 2}, "date": "D", "revision": "R", "command": "C", "stores": {"ragstone": ours, "rival": theirs}}


class Table(unittest.TestCase):
    def test_every_phase_has_its_row(self):
        table = store.table(record())
        for part in ["| ragstone | 50,000 | 7 | 3.0 |", "| rival | 20,000 | 0 | 40.0 |", "| 10.0 | 10.0 |", "| 4 | 900 |", "| paced | 2,000 |",
                     "| 1,000 | 2.0 | 5.0 | 400 |", "| without a rest | 10 | 40,000 | 4.20 | 2.10 | 1.30 | 1 |", "A million rows: 30,000 rows/s"]:
            self.assertIn(part, table)

    def test_what_was_not_measured_is_a_dash(self):
        without = record()
        without["stores"]["rival"] = [{"phase": "syncs", "syncs": None}]
        self.assertIn("| rival | - | - | - | - | - | - | - | - | - |", store.table(without))

    def test_a_phase_is_found_by_what_it_says(self):
        lines = record()["stores"]["ragstone"]
        self.assertEqual(store.of(lines, "open", million=True)["open_ms"], 0.9)
        self.assertEqual(store.of(lines, "open")["open_ms"], 0.7)
        self.assertEqual(store.of(lines, "absent"), {})


if __name__ == "__main__":
    unittest.main()
