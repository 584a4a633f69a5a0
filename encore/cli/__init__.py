"""The `encore` command: stores from the shell.

=============  ==================================================================
`main`         dispatch, and what becomes of errors and signals
`arguments`    argparse as the commands use it
`copying`      copy, sync
`listing`      ls, info, query
`reading`      get, cat
`writing`      put, rm, meta
`undoing`      undo, redo
`past`         log, show, at
`checking`     check
`explaining`   explain
`recording`    steps in the history of what is written
`stores`       opening for reading and for writing; cleaning up after a failure
`interrupts`   Ctrl-C and its kin
`output`       standard output: keys, JSON, sizes
`fields`       NAME=VALUE
=============  ==================================================================

The roof of the house: it may import every room, and no room imports it.
"""
