"""encore in the terms of other libraries, one module for each; each needs its extra.

Nothing below imports this room.
"""
