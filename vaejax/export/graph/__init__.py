"""ONNX graphs that are rewritten: what a compiler of the runtime does not see by itself."""
