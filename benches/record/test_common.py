"""python3 -m unittest discover -s benches/record"""
import unittest

import common
import filters


class Common(unittest.TestCase):
    def test_between_two_points_the_logarithm_is_linear(self):
        points = [(0.9, 10_000.0), (0.98, 100.0)]
        self.assertAlmostEqual(common.value_at(points, 0.94), 1_000.0)
        self.assertAlmostEqual(common.value_at(points, 0.98), 100.0)
        self.assertEqual(common.value_at(points, 0.5), 10_000.0)
        self.assertIsNone(common.value_at(points, 0.99))
        self.assertIsNone(common.value_at([], 0.5))

    def test_a_beaten_point_does_not_count(self):
        points = [(0.98, 500.0), (0.9, 1_000.0)]
        self.assertEqual(common.value_at(points + [(0.95, 400.0)], 0.95), common.value_at(points, 0.95))

    def test_recall_is_of_the_rows_that_there_are(self):
        self.assertEqual(common.recall([[1, 2], [3]], [[1, 2], [4, 5]]), 0.5)
        self.assertEqual(common.recall([[]], [[]]), 1.0)

    def test_a_command_names_no_directory_of_the_machine(self):
        self.assertEqual(common.shown(["a", "--base", "/x/y/b.npy", "--out=/x/z", "rel/c"]), "a --base b.npy --out=z rel/c")


class Filters(unittest.TestCase):
    def test_the_smallest_width_that_reaches_the_recall_is_taken(self):
        lines = [{"setting": 16, "recall_at_10": 0.9}, {"setting": 32, "recall_at_10": 0.96}, {"setting": 64, "recall_at_10": 0.99}]
        self.assertEqual(filters.chosen(lines, 0.95)["setting"], 32)
        self.assertEqual(filters.chosen(lines, 0.999)["recall_at_10"], 0.99)
        self.assertIsNone(filters.chosen([], 0.95))


if __name__ == "__main__":
    unittest.main()
