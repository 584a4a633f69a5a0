"""How fast encore is, measured beside the raw engine and beside what a user would pick instead.

From the root of the repository::

    python -m tests.benchmarks [--quick] [--only NAME] [--json FILE] [--markdown FILE]
                               [--place PLACE] [--disk DIR] [--tmpfs DIR]

Figures of one machine on one day mean little, so every goal is a ratio against something measured
in the same run, interleaved with encore (A B C A B C...), on fresh random values. **R** is the
limit: the engine itself, driven by code written by hand for this one purpose; the docstring of
each benchmark says exactly what its R does.

``harness``       places, trials, interleaved repeats; ``report`` turns them into tables
``raw_sqlite``    R for everything that SQLite does
``child``         what needs a process of its own: memory growth, several processes
the others        the benchmarks, by theme
"""
