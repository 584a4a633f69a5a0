"""What the window says to whoever sits in front of it."""

from __future__ import annotations

from encore.errors import ConflictError, RequestError, UndoConflict
from encore.examples.lab_notebook.document import Document

#: The command for what `words_for` says of a conflict.
UNDO_REST = "Undo what can be undone"

_MOST_NAMES = 3


def state_of(document: Document, count: int) -> str:
    """Say how many samples there are, and what has been changed."""
    saved = "saved" if document.history.is_saved else "changed since it was saved"
    if document.is_shared:  # the mark knows of what was done here, and of nothing else
        saved = f"shared, {saved.replace('changed', 'changed here')}"
    return f"Samples: {count} – {saved}"


def words_for(error: BaseException) -> str:
    """Say what went wrong, without words that only programmers know."""
    if isinstance(error, UndoConflict):
        names = [key.removeprefix(Document.PREFIX) for key in error.keys]
        if len(names) > _MOST_NAMES:
            names = [*names[:_MOST_NAMES], "others"]
        return (
            f"Somebody else has changed {', '.join(names)} since: nothing has been undone or "
            f"redone. “{UNDO_REST}” in the menu leaves that as it is."
        )
    if isinstance(error, ConflictError):
        return "Somebody else was quicker, and nothing has been changed. Look, and try again."
    if isinstance(error, RequestError) and error.status is None:
        return "The service cannot be reached, and nothing has been changed. Try again."
    return str(error)
