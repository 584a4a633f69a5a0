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

STATE = "SELECT undone, base, saved, fence, last, revision FROM history_state WHERE id=1"
FIRST_STATE = "INSERT OR IGNORE INTO history_state VALUES(1, 0, 0, NULL, 0, 0, 0)"
SET_STATE = (
    "UPDATE history_state SET undone=?, base=?, saved=?, fence=?, last=?, revision=revision+1"
    " WHERE id=1"
)
STEPS = (
    "SELECT id, time, label, verb, origin, meta, merge_key, count, size FROM history_step"
    " WHERE id>? ORDER BY id"
)
LAST_STEP = (
    "SELECT (SELECT coalesce(max(id),0) FROM history_step), revision FROM history_state WHERE id=1"
)
PUT_STEP = (
    "INSERT OR REPLACE INTO history_step"
    "(id, time, label, verb, origin, meta, merge_key, count, size) VALUES(?,?,?,?,?,?,?,?,?)"
)
OLDEST = "SELECT id FROM history_step ORDER BY id LIMIT 1 OFFSET ?"
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
# A lone write of a small value is a step with its one version in its row.
TAKE_ALONE = (
    "INSERT INTO history_step(id, time, label, verb, meta, count, size, key, expect,"
    " token, created, modified, bytes, metadata, data)"
    " SELECT ?, ?, ?, 'Set', '{}', 1, coalesce(k.size,0), ?, ?,"
    " k.token, k.created, k.modified, k.size, k.metadata, k.data"
    " FROM history_state s LEFT JOIN kv k ON k.key=?"
    " WHERE s.id=1 AND s.revision=? AND k.blob IS NULL AND (k.data IS NOT ? OR k.metadata IS NOT ?)"
)
_ALONE = (
    f"SELECT id << {STEP_BITS} id, id step, key, expect, size held, 0 skipped,"
    " token, created, modified, bytes size, metadata, NULL blob, data"
    " FROM history_step WHERE key IS NOT NULL"
)
_COLUMNS = f"id, step, key, expect, held, skipped, {_VERSION}"
_ALL = f"(SELECT {_COLUMNS} FROM history_image UNION ALL {_ALONE})"
UNPACK = f"INSERT INTO history_image({_COLUMNS}) {_ALONE} AND id=?"
UNPACK_KEY = UNPACK.replace("AND id=?", "AND key=?")
_EMPTY = (
    "UPDATE history_step SET key=NULL, expect=NULL, token=NULL, created=NULL, modified=NULL,"
    " bytes=NULL, metadata=NULL, data=NULL WHERE "
)
EMPTY = _EMPTY + "id=? AND key IS NOT NULL"
EMPTY_KEY = _EMPTY + "key=?"
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
    " i.metadata IS k.metadata AND i.size IS k.size, i.data IS k.data, i.expect, i.held"
    f" FROM {_BOTH} WHERE i.id BETWEEN ? AND ?"
)
EXPECT = (
    "UPDATE history_image SET expect=k.token,"
    " held=CASE WHEN history_image.blob IS NOT NULL AND history_image.blob IS k.blob THEN 0"
    " ELSE coalesce(history_image.size, 0) END"
    " FROM history_image i LEFT JOIN kv k ON k.key=i.key"
    " WHERE history_image.id BETWEEN ? AND ? AND i.id=history_image.id"
)
EXPECT_MERGED = f"{EXPECT} AND history_image.expect IS k.token"
EXPECT_ONE = "UPDATE history_image SET expect=?, held=? WHERE id=?"
DROP_IMAGE = "DELETE FROM history_image WHERE id=?"
# Only of the steps on both sides: one token may be what steps further away lead to, too.
NEAR = (
    f"SELECT (SELECT max(step) FROM {_ALL} WHERE key=? AND step<?),"
    f" (SELECT min(step) FROM {_ALL} WHERE key=? AND step>=?)"
)
RETARGET = "UPDATE history_image SET expect=? WHERE key=? AND expect IS ? AND step IN (?,?)"
RETARGET_ALONE = "UPDATE history_step SET expect=? WHERE key=? AND expect IS ? AND id IN (?,?)"
HELD = f"SELECT count(*), coalesce(sum(held),0) FROM history_image WHERE {_OF_STEP}"

# -- two steps become one -------------------------------------------------------------------------

ADOPT_EXPECTATION = (
    "UPDATE history_image SET expect=b.expect FROM history_image b"
    " WHERE history_image.id BETWEEN ? AND ? AND b.id BETWEEN ? AND ? AND b.key=history_image.key"
)
_DOUBLE = f"{_OF_STEP} AND key IN (SELECT key FROM history_image WHERE {_OF_STEP})"
DOUBLE_BLOBS = (
    f"SELECT key, blob FROM history_image WHERE blob IS NOT NULL AND {_DOUBLE}"
    " AND blob IS NOT (SELECT blob FROM kv WHERE kv.key=history_image.key)"
)
DROP_DOUBLE = f"DELETE FROM history_image WHERE {_DOUBLE}"

# -- exchanging images and records ----------------------------------------------------------------

CONFLICTS = (
    f"SELECT i.key, i.expect, k.token FROM {_ALL} i LEFT JOIN kv k ON k.key=i.key"
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
HAS_BLOBS = f"SELECT 1 FROM history_image WHERE {_OF_STEP} AND blob IS NOT NULL"
DROP_IMAGES = f"DELETE FROM history_image WHERE {_OF_STEP}"
BLOBS_OF_KEY = BLOBS.replace("i.id BETWEEN ? AND ?", "i.key=?")
STEPS_OF_KEY = "SELECT DISTINCT step FROM history_image WHERE key=?"
DROP_KEY = "DELETE FROM history_image WHERE key=?"

# -- reading --------------------------------------------------------------------------------------

KEYS = f"SELECT key FROM {_ALL} WHERE {_OF_STEP} ORDER BY key"
_IMAGE = f"SELECT key, metadata, size, created, modified, token, blob, data FROM {_ALL}"
IMAGE = f"{_IMAGE} WHERE key=? AND step=? AND NOT skipped"
NEXT_IMAGE = f"{_IMAGE} WHERE key=? AND step>? AND step<? AND NOT skipped ORDER BY step LIMIT 1"
PREVIOUS_IMAGE = (
    f"{_IMAGE} WHERE key=? AND step<=? AND step>=? AND NOT skipped ORDER BY step DESC LIMIT 1"
)
_OVERRIDES = (
    f"SELECT key, token IS NOT NULL, {{}}(step) FROM {_ALL}"
    " WHERE id>? AND id<? AND NOT skipped GROUP BY key ORDER BY key"
)
LATER = _OVERRIDES.format("min")
EARLIER = _OVERRIDES.format("max")
HELD_IMAGES = (
    f"SELECT key, step, metadata, size, created, modified, token, blob, data FROM {_ALL}"
    " WHERE token IS NOT NULL"
)
SIZES = f"SELECT step, count(*), coalesce(sum(held),0) FROM {_ALL} GROUP BY step"
