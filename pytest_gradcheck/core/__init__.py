"""Differences, verdicts, and everything put back: NumPy and the standard library alone."""
