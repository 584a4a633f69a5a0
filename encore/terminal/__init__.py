"""Progress bars in a terminal or a notebook: `ProgressDisplay`.

Built from progress events alone; knows no store. tqdm is loaded when the first bar is drawn.
"""

from __future__ import annotations

from encore.terminal.display import ProgressDisplay

__all__ = ["ProgressDisplay"]
