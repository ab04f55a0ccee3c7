"""Load on a real daemon with a real PostgreSQL: ``benchmarks/run --help``, explained in docs/benchmarks.md."""
