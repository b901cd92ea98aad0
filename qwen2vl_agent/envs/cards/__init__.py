"""The card games of the Qwen2-VL report, as gymnasium environments with solutions."""
