"""Folders of photos: found, split, decoded, or skipped with a reason. The only such place."""
