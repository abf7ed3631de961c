"""A model as one ONNX graph that runs with no GPU: its weights rounded, its answers measured against PyTorch."""
