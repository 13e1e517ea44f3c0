"""Kinds of quantisation, one a file.

A kind has `model(model, feeds) -> model`: an onnx.ModelProto with fewer bits, from one in float32
that is not changed; `feeds` are inputs that it is calibrated on if NEEDS_ROWS, [{name: array}]. It
also has `arrays({name: array}) -> {name: array}`, the weights alone, ARRAYS, the name of their
file, and READING, how they are read. OPTIONS are session options with which onnxruntime is fastest.
"""
