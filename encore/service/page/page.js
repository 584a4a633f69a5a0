// The page of the object service. What the server answers is somebody's text: it gets into the page
// as text (textContent), never as markup. Where a person is stands in the part of the address
// behind "#" (u: usecase, s: scopes, p: folder, k: open object), so that Back and bookmarks work.

const PAGE = 300; // names asked for at a time
const POLL_MS = 5000;
const MOST_CHANGES = 50;
const $ = (id) => document.getElementById(id);

const state = { u: "", s: "", p: "", k: null, items: [], after: null, lastId: null };
const fresh = new Set(); // names that have changed since the list was drawn
let following = null;
let isShut = false; // whether a token is needed before anything else

// -- asking ---------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// Only this tab has the token, and only until it is closed; it never stands in an address.
const token = () => sessionStorage.getItem("token");

async function ask(path, { headers = {}, ...more } = {}) {
  const proof = token() ? { authorization: `Bearer ${token()}` } : {};
  const answer = await fetch(path, { ...more, headers: { ...headers, ...proof }, cache: "no-store" });
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, found.detail ?? `the server answers ${answer.status}`);
}

const askJson = async (path) => (await ask(path)).json();

function at(resource, key = "", query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== null);
  const text = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  // The key is one piece: a browser would take dots between slashes for a way up.
  const pieces = [state.u, state.s, key].map(encodeURIComponent);
  return `v1/${resource}/${pieces.join("/")}?${text}`;
}

function complain(error) {
  if (error?.name === "AbortError") return;
  $("message").textContent = error ? `This did not work: ${error.message}` : "";
  $("message").hidden = !error;
  if (error?.status !== 401) return;
  isShut = true;
  if (!token()) $("message").textContent = "This server asks for a token.";
  $("token").focus();
}

// Whatever a person has started shows what became of it, once.
const tried = (act) => (...given) => act(...given).catch(complain);

// Calls that come while one is waiting are one call.
function soon(act, ms) {
  let timer = null;
  return () => {
    timer ??= setTimeout(() => { timer = null; tried(act)(); }, ms);
  };
}

// -- making ---------------------------------------------------------------------------------------

function make(kind, { text, ...properties } = {}, ...children) {
  const found = Object.assign(document.createElement(kind), properties);
  if (text !== undefined) found.textContent = text;
  found.append(...children);
  return found;
}

function draw(kind, attributes, text = "") {
  const found = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.textContent = text;
  return found;
}

function bytes(size) {
  let unit = 0;
  for (; size >= 1000 && unit < 4; unit += 1) size /= 1000;
  const shown = unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1);
  return `${shown} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = (seconds) => (seconds === null ? "" : DAY.format(seconds * 1000));
const clock = (seconds) => CLOCK.format(seconds * 1000);
const many = (count, name) => `${count.toLocaleString()} ${name}${count === 1 ? "" : "s"}`;
const folderOf = (key) => key.slice(0, key.lastIndexOf("/", key.length - 2) + 1);

function hash(changed) {
  const where = { u: state.u, s: state.s, p: state.p, k: state.k, ...changed };
  const given = Object.entries(where).filter(([, value]) => value !== null && value !== "");
  return `#${new URLSearchParams(given)}`;
}

// -- usecases -------------------------------------------------------------------------------------

async function loadPlaces() {
  const { places, more } = await askJson("v1/places");
  const drawn = JSON.stringify([places, state.u, state.s]);
  if (drawn === state.places) return;
  state.places = drawn;
  const shown = [];
  let usecase = null;
  for (const place of places) {
    if (place.usecase !== usecase) shown.push(make("h3", { text: usecase = place.usecase }));
    const text = place.scopes === "_" ? "no scopes" : place.scopes.replaceAll(";", "; ");
    const link = make("a", { text, href: hash({ u: usecase, s: place.scopes, p: "", k: null }) });
    if (usecase === state.u && place.scopes === state.s) link.ariaCurrent = "true";
    shown.push(link);
  }
  if (more) shown.push(make("p", { text: "There are more.", className: "faint" }));
  redraw($("places"), shown);
  $("no-places").hidden = places.length > 0;
  if (!state.u && places.length > 0) {
    location.replace(hash({ u: places[0].usecase, s: places[0].scopes }));
  }
}

// -- the list -------------------------------------------------------------------------------------

async function loadList(count = PAGE) {
  const mine = state.loading = Symbol("of the latest call, which is the one that counts");
  const prefix = state.p + $("filter").value;
  const items = [];
  let after = null;
  if (!state.u) return;
  do {
    const query = { list: "", folders: "", prefix, limit: PAGE, start_after: after };
    const page = await askJson(at("objects", "", query));
    if (mine !== state.loading) return;
    items.push(...page.folders.map((key) => ({ key, isFolder: true })), ...page.objects);
    after = page.more ? page.start_after : null;
  } while (after !== null && items.length < count);
  items.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  complain(null);
  // A list that is drawn anew slips from under the mouse.
  const drawn = JSON.stringify([state.u, state.s, prefix, items, after]);
  if (drawn !== state.drawn) {
    Object.assign(state, { items, after, drawn });
    showList();
  } else if (state.wanted !== undefined) focusList();
  delete state.wanted;
}

const reloadList = soon(() => loadList(state.items.length), 300);

function showList() {
  const rows = state.items.map(row);
  if (state.p) rows.unshift(folderRow("..", folderOf(state.p)));
  if (state.after !== null) {
    const more = make("button", { text: "Show more", type: "button" });
    more.onclick = tried(() => loadList(state.items.length + PAGE));
    rows.push(make("tr", {}, make("td", { colSpan: 3 }, more)));
  }
  fresh.clear();
  redraw($("list"), rows, state.wanted);
  const what = $("filter").value ? ` that begin with “${$("filter").value}”` : "";
  const count = many(state.items.length, "name");
  $("count").textContent = `${count}${state.after === null ? "" : ", and more"}${what}`;
  const crumbs = [[state.u, ""]];
  for (const piece of state.p.split("/").slice(0, -1)) {
    crumbs.push([piece, `${crumbs.at(-1)[1]}${piece}/`]);
  }
  $("crumbs").replaceChildren(...crumbs.flatMap(([text, p]) => [
    make("a", { text: text || "(no name)", href: hash({ p, k: null }) }), " / ",
  ]));
}

function row(item) {
  const name = item.key.slice(state.p.length);
  if (item.isFolder) return folderRow(name, item.key);
  const link = make("a", { text: name || "(no name)", href: hash({ k: item.key }) });
  const size = make("td", { text: bytes(item.size), className: "number", title: item.size });
  const when = make("td", { text: day(item.modified) });
  const found = make("tr", {}, make("td", {}, link), size, when);
  return marked(found, item.key, fresh.has(item.key));
}

function folderRow(name, folder) {
  const link = make("a", { text: name, href: hash({ p: folder, k: null }), className: "folder" });
  const found = make("tr", {}, make("td", {}, link), make("td"), make("td"));
  const hasChanged = name !== ".." && [...fresh].some((key) => key.startsWith(folder));
  return marked(found, folder, hasChanged);
}

function marked(found, key, hasChanged) {
  found.dataset.key = key;
  found.classList.toggle("open", key === state.k);
  found.classList.toggle("fresh", hasChanged);
  return found;
}

// One of the links in a list can be reached with Tab, the others from it with the arrows.
function redraw(list, children, wanted = undefined) {
  const old = list.contains(document.activeElement) ? document.activeElement : null;
  const place = old ? [...list.querySelectorAll("a, button")].indexOf(old) : -1;
  list.replaceChildren(...children);
  const links = [...list.querySelectorAll("a, button")];
  const here = links.find((link) => link.hash && link.hash === (wanted ?? old?.hash));
  const next = wanted === undefined ? Math.min(Math.max(place, 0), links.length - 1) : 0;
  const chosen = here ?? links[next];
  for (const link of links) link.tabIndex = link === chosen ? 0 : -1;
  if (old || wanted !== undefined) chosen?.focus();
}

// -- one object -----------------------------------------------------------------------------------

async function loadObject() {
  const mine = state.opening = Symbol("of the latest call, which is the one that counts");
  const { k } = state;
  const isOpen = k !== null;
  for (const tr of $("list").rows) tr.classList.toggle("open", isOpen && tr.dataset.key === k);
  if (!isOpen) return showObject("No object is open", "Choose one in the list.");
  if (k === "." || k === "..") return showObject(k, "A browser cannot ask for this name.");
  const { objects } = await askJson(at("objects", "", { list: "", prefix: k, limit: 1 }));
  const known = objects[0]?.key === k ? objects[0] : null;
  const answer = known && await ask(at("objects", k), { method: "HEAD" });
  if (mine !== state.opening) return;
  if (!known) return showObject(k, "It is not there any more.");
  const { "encore.object": attributes, ...metadata } = known.metadata;
  const facts = {
    Size: `${bytes(known.size)}${known.size < 1000 ? "" : ` (${many(known.size, "byte")})`}`,
    Type: answer.headers.get("content-type"),
    Stored: attributes?.content_encoding && `compressed (${attributes.content_encoding})`,
    Created: day(known.created),
    Modified: day(known.modified),
    Expires: moment(answer.headers.get("x-sn-time-expires")),
    "SHA-256": attributes?.of === known.token ? attributes.sha256 : "",
  };
  showObject(k, "", facts, metadata);
}

const moment = (text) => text && DAY.format(new Date(text));
const reloadObject = soon(loadObject, 300);

function showObject(title, hint, facts = {}, metadata = {}) {
  $("key").textContent = title;
  $("hint").textContent = hint;
  $("hint").hidden = !hint;
  $("acts").hidden = hint !== "";
  $("download").href = hint ? "" : at("objects", state.k);
  $("download").download = state.k?.slice(folderOf(state.k).length) || "object";
  const terms = (pairs) => pairs.flatMap(([name, value]) => [
    make("dt", { text: name }),
    make("dd", { text: typeof value === "string" ? value : JSON.stringify(value, null, 1) }),
  ]);
  $("facts").replaceChildren(...terms(Object.entries(facts).filter(([, value]) => value)));
  $("metadata").replaceChildren(...terms(Object.entries(metadata)));
  $("metadata-title").hidden = $("metadata").children.length === 0;
}

// A link cannot bring a token, so with one the page fetches the data and hands it over.
async function download(event) {
  if (!token()) return;
  event.preventDefault();
  const data = await (await ask(at("objects", state.k))).blob();
  const url = URL.createObjectURL(data);
  make("a", { href: url, download: $("download").download }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// -- storage use ----------------------------------------------------------------------------------

async function loadUsage() {
  if (!state.u) return;
  const { u, s } = state;
  const found = await askJson(at("objects:usage"));
  if (u !== state.u || s !== state.s) return;
  const more = found.whole ? "" : "more than ";
  $("total").textContent = `${more}${bytes(found.bytes)} in ${many(found.objects, "object")}`;
  showChart(found.history);
}

const reloadUsage = soon(loadUsage, 1000);

function showChart(history) {
  const [left, top, width, height] = [54, 10, 280, 88];
  const most = Math.max(1, ...history.map(([, , size]) => size));
  const [first, last] = [history[0][0], history.at(-1)[0]];
  const x = (time) => left + width * (last > first ? (time - first) / (last - first) : 1);
  const y = (size) => top + height * (1 - size / most);
  const begin = `M${left},${y(history[0][2])}`;
  const curve = history.map(([time, , size]) => `H${x(time).toFixed(1)}V${y(size).toFixed(1)}`);
  const line = begin + curve.join("");
  const floor = top + height;
  $("chart").replaceChildren(
    draw("path", { class: "area", d: `${line}V${floor}H${left}Z` }),
    draw("path", { class: "axis", d: `M${left},${top}H${left + width}M${left},${floor}h${width}` }),
    draw("path", { class: "curve", d: line }),
    draw("text", { x: left - 6, y: top + 4, "text-anchor": "end" }, bytes(most)),
    draw("text", { x: left - 6, y: floor + 4, "text-anchor": "end" }, "0"),
    draw("text", { x: left, y: floor + 16 }, clock(first)),
    draw("text", { x: left + width, y: floor + 16, "text-anchor": "end" }, clock(last)),
  );
  $("chart").ariaLabel = `Storage use from ${clock(first)} to ${clock(last)}, at most ${bytes(most)}`;
}

// -- changes --------------------------------------------------------------------------------------

// A browser has few connections for a server: a page that nobody looks at gives its own back.
async function follow() {
  following?.abort();
  showLive(false);
  if (!state.u || document.hidden) return;
  const { signal } = following = new AbortController();
  for (let pause = 500; !signal.aborted; pause = Math.min(2 * pause, 10_000)) {
    try {
      const headers = state.lastId ? { "last-event-id": state.lastId } : {};
      const answer = await ask(at("objects:events"), { headers, signal });
      showLive(true);
      pause = 500;
      await readEvents(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch (error) {
      if (signal.aborted || error.status === 401 || error.status === 403) return;
    }
    showLive(false);
    await new Promise((done) => { setTimeout(done, pause); });
  }
}

function showLive(isLive) {
  $("live").textContent = isLive ? "live" : "not connected";
  $("live").classList.toggle("on", isLive);
}

async function readEvents(reader) {
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (waiting + value).split("\n\n");
    waiting = events.pop();
    for (const text of events) {
      const event = Object.fromEntries(text.split("\n").map((line) => line.split(/: (.*)/s)));
      state.lastId = event.id ?? state.lastId;
      if (event.event === "change") showChange(JSON.parse(event.data));
      else if (event.event) reloadList(); // what happened before we heard of it
    }
  }
}

function showChange({ key, action }) {
  const now = new Date();
  const time = make("time", { text: CLOCK.format(now), dateTime: now.toISOString() });
  const act = { set: "put", update: "changed", delete: "deleted" }[action] ?? action;
  const name = action === "delete"
    ? make("span", { text: key })
    : make("a", { text: key, href: hash({ p: folderOf(key), k: key }) });
  $("changes").prepend(make("li", {}, time, make("b", { text: act, className: action }), name));
  while ($("changes").children.length > MOST_CHANGES) $("changes").lastChild.remove();
  $("no-changes").hidden = true;
  if (key.startsWith(state.p)) {
    fresh.add(key);
    reloadList();
  }
  if (key === state.k) reloadObject();
  reloadUsage();
}

// -- where a person is, and the keyboard ----------------------------------------------------------

async function go() {
  const given = new URLSearchParams(location.hash.slice(1));
  const before = { ...state };
  for (const name of ["u", "s", "p"]) state[name] = given.get(name) ?? "";
  state.k = given.get("k");
  const asked = [loadObject()];
  const isOther = state.u !== before.u || state.s !== before.s;
  if (isOther) {
    Object.assign(state, { items: [], after: null, lastId: null });
    $("changes").replaceChildren();
    $("no-changes").hidden = false;
    $("total").textContent = "";
    $("chart").replaceChildren();
    tried(follow)();
    asked.push(loadPlaces(), loadUsage());
  }
  if (isOther || state.p !== before.p) {
    $("filter").value = "";
    // Who comes back up stands on the folder they were in.
    const isHere = $("browser").contains(document.activeElement);
    if (isHere) state.wanted = hash({ p: before.p, k: null });
    asked.push(loadList());
  }
  await Promise.all(asked);
}

async function start() {
  $("token").placeholder = token() ? "in use" : "none";
  $("forget").hidden = !token();
  await (location.hash ? go() : loadPlaces());
}

function moveTo(list, step) {
  const links = [...list.querySelectorAll("a, button")];
  const place = links.indexOf(document.activeElement);
  const next = links[Math.max(0, Math.min(place + step, links.length - 1))];
  for (const link of links) link.tabIndex = link === next ? 0 : -1;
  next?.focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
const focusList = () => ($("list").querySelector("[tabindex='0']") ?? $("filter")).focus();
const KEYS = {
  "/": () => $("filter").focus(),
  p: () => $("places").querySelector("[tabindex='0']")?.focus(),
  d: () => $("acts").hidden || $("download").click(),
  Escape: focusList,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const { key, target } = event;
  const list = target.closest(".walk");
  if (target.matches("input")) {
    if (target.id !== "filter" || !["Escape", "ArrowDown", "Enter"].includes(key)) return;
    if (key === "Escape" && target.value) {
      target.value = "";
      state.wanted = ""; // the focus goes to the list as soon as that is there
      tried(loadList)();
    } else focusList();
  } else if (list && key in STEPS) moveTo(list, STEPS[key]);
  else if (list?.id === "list" && (key === "ArrowLeft" || key === "Backspace")) {
    if (state.p) location.hash = hash({ p: folderOf(state.p), k: null });
  } else if (key in KEYS) KEYS[key]();
  else return;
  event.preventDefault();
});

$("filter").addEventListener("input", soon(loadList, 150));
$("download").addEventListener("click", tried(download));
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  location.reload(); // nothing of what another token has shown stays
});
$("forget").addEventListener("click", () => {
  sessionStorage.removeItem("token");
  location.replace(location.pathname);
});
window.addEventListener("hashchange", tried(go));
document.addEventListener("visibilitychange", tried(follow));
setInterval(() => {
  // What goes wrong here says itself as soon as a person does something.
  if (!document.hidden && !isShut) Promise.all([loadUsage(), loadPlaces()]).catch(() => {});
}, POLL_MS);
tried(start)();
