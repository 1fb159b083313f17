"""int8 and fp16 made from a proved fp32 file, measured beside it, and kept only where they pay."""
