"""The VECA model: sizes, weights, checkpoints and cost.

Nothing is imported here, so that `veca_edge.model.config` and `veca_edge.model.flops` work without torch.
The modules `veca`, `rope` and `checkpoint` need torch.
"""
