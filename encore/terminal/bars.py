"""tqdm as encore uses it. Private to the terminal room; loads tqdm when the first bar is made."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from encore.terminal.visibility import in_notebook


@cache
def _bar_class(notebook: bool) -> Any:
    tqdm: Any
    if notebook:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        """A bar without tqdm's monitor thread, which would outlive the work."""

        monitor_interval = 0
        is_made = False

        def refresh(self, nolock: bool = False, lock_args: Any = None) -> Any:
            # tqdm's own leaves the lock taken if drawing raises, and every other bar waits.
            # Nor while it is being made: what fails half made cannot even be thrown away quietly.
            if self.disable or not self.is_made:
                return None
            with self._lock:
                self.display()
            return True

    # tqdm's default is a lock among processes as well: a semaphore for nothing.
    Bar.set_lock(threading.RLock())
    return Bar


def make_bar(message: str, *, steps: int, unit: str, slot: int, leave: bool, file: Any) -> Any:
    """Draw a bar at 0.

    Parameters
    ----------
    message : str
        Stands in front of the bar.
    steps : int
        The total; -1 if unknown.
    unit : str
        ``"B"`` gives KiB, MiB and so on.
    slot : int
        Lines below the cursor.
    leave : bool
        Whether the bar stays when it is closed.
    file : file or None
        None is standard error, or the notebook.
    """
    bar = _bar_class(file is None and in_notebook())(
        desc=message,
        total=steps if steps >= 0 else None,
        unit=unit,
        unit_scale=True,
        unit_divisor=1024 if unit == "B" else 1000,
        position=slot,
        leave=leave,
        file=file,
        dynamic_ncols=file is None,
        # Progress is throttled where it is made: draw whatever comes.
        mininterval=0,
        miniters=0,
    )
    bar.is_made = True
    try:
        bar.refresh()
    except BaseException:
        bar.disable = True  # or it would draw once more when it is collected
        raise
    return bar
