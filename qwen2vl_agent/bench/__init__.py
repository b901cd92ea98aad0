"""Measurements: suites of tasks, statistics, tables and charts, and benchmarks of understanding."""
