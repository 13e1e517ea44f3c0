"""The formats of exports, one a file.

A format has `write(export, folder) -> [File]`. If its files are functions, it also has
`load(path) -> function (inputs: a list of arrays) -> list of arrays`, which needs no run.
"""
