"""Qwen2-VL from scratch, on one device; it knows no message, tool or environment."""
