"""Bytes, files and frames become pixels: headers, decoding, orientation, scaling, preprocessing, patches."""
