"""From a request to finished files: quantize, convert, verify, evaluate."""
