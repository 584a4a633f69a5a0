"""Every SQL text of a ledger in a database; `history_tables` has the tables.

``i`` is an image, ``k`` the record of its key. The ids of images begin with their step, so that all
of a step are one range, and need no index. Only the ledgers import this module.
"""

from __future__ import annotations

STEP_BITS = 28
END = 1 << 62


def images_of(step: int) -> tuple[int, int]:
    """The first and the last id that images of a step can have."""
    return step << STEP_BITS, ((step + 1) << STEP_BITS) - 1


_OF_STEP = "id BETWEEN ? AND ?"

_VERSION = "token, created, modified, size, metadata, blob, data"
_OF_K = ", ".join(f"k.{column}" for column in _VERSION.split(", "))
_OF_I = _OF_K.replace("k.", "i.")
_BOTH = "history_image i LEFT JOIN kv k ON k.key=i.key"

FOUND = "SELECT name FROM sqlite_schema WHERE name GLOB 'history_*'"

# -- steps and state ------------------------------------------------------------------------------

STATE = "SELECT undone, base, saved, fence, revision FROM history_state WHERE id=1"
FIRST_STATE = "INSERT OR IGNORE INTO history_state VALUES(1, 0, 0, NULL, 0, 0)"
SET_STATE = (
    "UPDATE history_state SET undone=?, base=?, saved=?, fence=?, revision=revision+1 WHERE id=1"
)
# A lone write of a small value is a step without a row: its image says when it was made.
STEPS = (
    "SELECT id, time, label, verb, origin, meta, merge_key, count, size FROM history_step"
    " WHERE id>? UNION ALL SELECT step, time, 'Set ' || key, 'Set', NULL, '{}', NULL, 1, held"
    " FROM history_image WHERE id>? AND time IS NOT NULL ORDER BY 1"
)
LAST_STEP = (
    "SELECT max(coalesce((SELECT max(id) FROM history_step), 0),"
    f" coalesce((SELECT max(id) FROM history_image) >> {STEP_BITS}, 0)), revision"
    " FROM history_state WHERE id=1"
)
GIVE_ROW = f"UPDATE history_image SET time=NULL WHERE {_OF_STEP} AND time IS NOT NULL"
PUT_STEP = "INSERT OR REPLACE INTO history_step VALUES(?,?,?,?,?,?,?,?,?)"
DROP_STEPS = "DELETE FROM history_step WHERE id BETWEEN ? AND ?"

# -- taking images --------------------------------------------------------------------------------

_TAKE = f"INSERT INTO history_image(id, step, key, {_VERSION})"
_ONCE = "ON CONFLICT(key, step) DO NOTHING"
TOUCH = (
    f"{_TAKE} SELECT ?, ?, ?, {_OF_K} FROM (SELECT 1) LEFT JOIN kv k ON k.key=? WHERE true {_ONCE}"
)
TOUCH_MANY = (
    f"{_TAKE} SELECT ?+w.key, ?, w.value, {_OF_K} FROM json_each(?) w"
    f" LEFT JOIN kv k ON k.key=w.value WHERE true {_ONCE}"
)
TOUCH_RANGE = (
    f"{_TAKE} SELECT ?+row_number() OVER (), ?, k.key, {_OF_K} FROM kv k WHERE k.key>=? {_ONCE}"
)
TOUCH_BOUNDED = TOUCH_RANGE.replace("k.key>=?", "k.key>=? AND k.key<?")
LAST_IMAGE = f"SELECT coalesce(max(id),0) FROM history_image WHERE {_OF_STEP}"
TAKE_ALONE = (
    "INSERT INTO history_image(id, step, key, expect, time, held,"
    f" {_VERSION}) SELECT ?, ?, ?, ?, ?, coalesce(k.size,0), {_OF_K}"
    " FROM history_state s LEFT JOIN kv k ON k.key=?"
    " WHERE s.id=1 AND s.revision=? AND k.blob IS NULL AND (k.data IS NOT ? OR k.metadata IS NOT ?)"
)
TAKEN = "SELECT blob, data FROM history_image WHERE key=? AND step=?"
GIVE_BLOB = "UPDATE history_image SET blob=? WHERE key=? AND step=?"
GIVE_RECORD = (
    "UPDATE history_image SET token=?, created=?, modified=?, size=?, metadata=?"
    " WHERE key=? AND step=?"
)
RENUMBER = f"UPDATE history_image SET id=id+?, step=? WHERE {_OF_STEP}"

# -- what a transaction has changed ---------------------------------------------------------------

COMPARE = (
    "SELECT i.id, i.key, i.token, k.token, i.blob, k.blob, i.size,"
    " i.metadata IS k.metadata AND i.size IS k.size, i.data IS k.data"
    f" FROM {_BOTH} WHERE i.id BETWEEN ? AND ?"
)
EXPECT = (
    "UPDATE history_image SET expect=k.token,"
    " held=CASE WHEN history_image.blob IS NOT NULL AND history_image.blob IS k.blob THEN 0"
    " ELSE coalesce(history_image.size, 0) END"
    " FROM history_image i LEFT JOIN kv k ON k.key=i.key"
    " WHERE history_image.id BETWEEN ? AND ? AND i.id=history_image.id"
)
EXPECT_ONE = "UPDATE history_image SET expect=?, held=? WHERE id=?"
DROP_IMAGE = "DELETE FROM history_image WHERE id=?"
RETARGET = "UPDATE history_image SET expect=? WHERE key=? AND expect IS ?"
HELD = f"SELECT count(*), coalesce(sum(held),0) FROM history_image WHERE {_OF_STEP}"

# -- two steps become one -------------------------------------------------------------------------

ADOPT_EXPECTATION = (
    "UPDATE history_image SET expect=b.expect FROM history_image b"
    " WHERE history_image.id BETWEEN ? AND ? AND b.id BETWEEN ? AND ? AND b.key=history_image.key"
)
_DOUBLE = f"{_OF_STEP} AND key IN (SELECT key FROM history_image WHERE {_OF_STEP})"
DOUBLE_BLOBS = f"SELECT key, blob FROM history_image WHERE blob IS NOT NULL AND {_DOUBLE}"
DROP_DOUBLE = f"DELETE FROM history_image WHERE {_DOUBLE}"

# -- exchanging images and records ----------------------------------------------------------------

CONFLICTS = (
    f"SELECT i.key, i.expect, k.token FROM {_BOTH}"
    " WHERE i.id BETWEEN ? AND ? AND NOT i.skipped AND i.expect IS NOT k.token ORDER BY i.key"
)
CHANGES = (
    f"SELECT i.key, k.metadata, i.metadata FROM {_BOTH}"
    " WHERE i.id BETWEEN ? AND ? AND NOT i.skipped"
)
SKIP = "UPDATE history_image SET skipped=2 WHERE step=? AND key=?"
# The records go by way of a table that only this connection has, and that never reaches the disk
# unless it is large: moving rows within one table would write each of them twice.
MAKE_WAITING = (
    f"CREATE TEMP TABLE IF NOT EXISTS history_waiting(id INTEGER PRIMARY KEY, {_VERSION})"
)
TAKE_RECORDS = (
    f"INSERT INTO temp.history_waiting SELECT i.id, {_OF_K} FROM {_BOTH}"
    " WHERE i.id BETWEEN ? AND ? AND NOT i.skipped"
)
REMOVE_RECORDS = (
    "DELETE FROM kv WHERE key IN"
    f" (SELECT key FROM history_image WHERE {_OF_STEP} AND NOT skipped AND token IS NULL)"
)
PUT_RECORDS = (
    f"INSERT INTO kv(key, {_VERSION}) SELECT i.key, {_OF_I} FROM history_image i"
    " WHERE i.id BETWEEN ? AND ? AND NOT i.skipped AND i.token IS NOT NULL"
    " ON CONFLICT(key) DO UPDATE SET token=excluded.token, created=excluded.created,"
    " modified=excluded.modified, size=excluded.size, metadata=excluded.metadata,"
    " blob=excluded.blob, data=excluded.data"
)
GIVE_RECORDS = (
    "UPDATE history_image SET expect=history_image.token,"
    " held=CASE WHEN w.blob IS NOT NULL AND w.blob IS history_image.blob THEN 0"
    " ELSE coalesce(w.size, 0) END,"
    + ",".join(f" {column}=w.{column}" for column in _VERSION.split(", "))
    + " FROM temp.history_waiting w WHERE w.id=history_image.id"
)
CLEAR_WAITING = "DELETE FROM temp.history_waiting"
UNSKIP = f"UPDATE history_image SET skipped=skipped-1 WHERE {_OF_STEP} AND skipped"
EXPECT_TOKEN = (
    "UPDATE history_image SET expect=(SELECT token FROM kv WHERE kv.key=history_image.key)"
    " WHERE step=? AND key=?"
)

# -- letting go -----------------------------------------------------------------------------------

# What a record has, too, is not dropped with the images.
BLOBS = (
    f"SELECT i.key, i.blob FROM {_BOTH}"
    " WHERE i.id BETWEEN ? AND ? AND i.blob IS NOT NULL AND i.blob IS NOT k.blob"
)
DROP_IMAGES = f"DELETE FROM history_image WHERE {_OF_STEP}"
BLOBS_OF_KEY = BLOBS.replace("i.id BETWEEN ? AND ?", "i.key=?")
STEPS_OF_KEY = "SELECT DISTINCT step FROM history_image WHERE key=?"
DROP_KEY = "DELETE FROM history_image WHERE key=?"
HAS_BLOB = "SELECT 1 FROM history_image WHERE blob=?"
HAS_VERSION = "SELECT 1 FROM history_image WHERE key=? AND blob=?"

# -- reading --------------------------------------------------------------------------------------

KEYS = f"SELECT key FROM history_image WHERE {_OF_STEP} ORDER BY key"
TOUCHED_LATER = (
    "SELECT 1 FROM history_image a JOIN history_image b ON b.key=a.key"
    " WHERE a.id BETWEEN ? AND ? AND b.step>a.step AND b.step<? LIMIT 1"
)
_IMAGE = "SELECT key, metadata, size, created, modified, token, blob, data FROM history_image"
IMAGE = f"{_IMAGE} WHERE key=? AND step=? AND NOT skipped"
NEXT_IMAGE = f"{_IMAGE} WHERE key=? AND step>? AND step<? AND NOT skipped ORDER BY step LIMIT 1"
PREVIOUS_IMAGE = (
    f"{_IMAGE} WHERE key=? AND step<=? AND step>=? AND NOT skipped ORDER BY step DESC LIMIT 1"
)
_OVERRIDES = (
    "SELECT key, token IS NOT NULL, {}(step) FROM history_image"
    " WHERE id>? AND id<? AND NOT skipped GROUP BY key ORDER BY key"
)
LATER = _OVERRIDES.format("min")
EARLIER = _OVERRIDES.format("max")
HELD_IMAGES = (
    "SELECT key, step, metadata, size, created, modified, token, blob, data FROM history_image"
    " WHERE token IS NOT NULL"
)
SIZES = (
    f"SELECT id >> {STEP_BITS}, count(*), coalesce(sum(held),0) FROM history_image"
    f" GROUP BY id >> {STEP_BITS}"
)
