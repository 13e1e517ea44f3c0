"""The formats of exports, one a file.

A format has `write(export, folder) -> [File]`, and may have `check(export)`, which raises UserError
before anything is written. If its files are functions, it also has
`load(path) -> function (inputs: a list of arrays) -> list of arrays`, which needs no run.
"""
