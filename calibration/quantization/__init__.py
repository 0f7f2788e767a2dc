"""Which precision each layer gets: rounding, sensitivity, recipes within a limit."""
