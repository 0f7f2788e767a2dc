"""A run in a browser, for boards without a screen: picture, numbers and controls over plain HTTP.

The page asks for everything with `fetch`: `/state` and `/frame` answer as soon as there is something newer than
what the page has, so a slow line gets fewer frames and never older ones. One thread of its own (asyncio) serves;
the run only leaves its newest frame on a board. Standard library only.
"""
