"""Nets that forecast: learned by torch (extra `deep`), served by onnxruntime."""
