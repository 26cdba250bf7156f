"""Tables: arrays and raw frames become long DataFrames with fixed columns."""
