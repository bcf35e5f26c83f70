"""Backends: what runs a network. torch always can; ONNX Runtime and OpenVINO run a graph that is made of it once."""
