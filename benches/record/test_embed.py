"""The pure parts of embed.py."""
import unittest

import embed


def line(runtime, speed, **more):
    return {"runtime": runtime, "batch": 1, "tokens": 16, "ms": 16e3 / speed, "tokens_per_s": speed, **more}


class Medians(unittest.TestCase):
    def test_one_line_a_shape_with_the_median_and_the_lowest_cosine(self):
        lines = [line("a", speed, cosine_min=cosine) for speed, cosine in ((100, 0.9), (300, 0.8), (200, 0.95))]
        merged = embed.medians(lines + [line("a", 7, callers=1), line("b", 50)])
        self.assertEqual([one["runtime"] for one in merged], ["a", "a", "b"])
        self.assertEqual((merged[0]["tokens_per_s"], merged[0]["cosine_min"], merged[0]["rounds"]), (200, 0.8, 3))
        self.assertEqual(merged[1]["callers"], 1)

    def test_ratios_are_of_the_same_shape(self):
        lines = [line("ragstone-half", 150), line("onnxruntime-f32", 100), line("ragstone-half", 9, callers=8)]
        ours, _, many = embed.with_ratios(lines)
        self.assertEqual(ours["ratio_to_onnxruntime_f32"], 1.5)
        self.assertNotIn("ratio_to_onnxruntime_int8", ours)
        self.assertNotIn("ratio_to_onnxruntime_f32", many)


if __name__ == "__main__":
    unittest.main()
