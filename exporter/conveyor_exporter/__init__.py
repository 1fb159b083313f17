"""From a trained PyTorch network to one ONNX file that carries the proof of its own correctness."""
