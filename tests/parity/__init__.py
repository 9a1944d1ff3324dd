"""Parity: random suites on random rows, judged by our gate and by stock Great Expectations; the same verdict and the same counts, or a difference."""
