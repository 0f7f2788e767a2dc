"""veca-edge inside Python apps for phones: the engines that Android and iOS have, behind veca-edge's own classes.

    from veca_edge_mobile.android import open_model     # Chaquopy: a .pte in ExecuTorch's Java API
    from veca_edge_mobile.ios import open_model         # BeeWare: an .mlpackage in Core ML, through rubicon-objc

    model = open_model(path)
    model(image, cores=32).top(3)

Neither has run on a device yet. Both are tested against stand-ins that follow the documented signatures.
"""
