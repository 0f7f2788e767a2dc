"""What computes: one module per engine, all behind the protocol in `engine`."""
