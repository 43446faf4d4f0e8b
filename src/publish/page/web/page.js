// Shows the messages of /stream, which are those that emotiond publishes over MQTT: docs/page.md and docs/mqtt.md.
import { chart, circumplex } from "./draw.js";

const HOUR = 3600;
const POINT = 10.5;
const TRAIL = 12;
const EVENTS = 20;
const NAMES = {
  AU1: "inner brow raiser", AU2: "outer brow raiser", AU4: "brow lowerer", AU5: "upper lid raiser",
  AU6: "cheek raiser", AU7: "lid tightener", AU9: "nose wrinkler", AU10: "upper lip raiser",
  AU12: "lip corner puller", AU14: "dimpler", AU15: "lip corner depressor", AU17: "chin raiser",
  AU20: "lip stretcher", AU23: "lip tightener", AU24: "lip pressor", AU25: "lips part", AU26: "jaw drop",
  AU27: "mouth stretch", AU43: "eyes closed",
};
const CAMERA = {
  ok: "ok", blind: "covered or dark", lost: "lost", paused: "paused",
};
const WHY = {
  nobody: "Nobody is there.",
  site: "Emotion is not inferred at this site.",
  min_people: "Withheld: fewer people are there than it takes.",
};

const at = (id) => document.getElementById(id);
const text = (id, value) => { if (at(id).textContent !== value) at(id).textContent = value; };
const percent = (share) => `${Math.round(100 * share)} %`;
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
const number = (value, digits, unit) => value == null ? "–" : `${value.toFixed(digits)} ${unit}`;

let info = null;
let summary = null;
let summaryAt = 0; // performance.now() when its window closed
let points = []; // { end, seconds, people, valence, arousal, facing }; `end` by performance.now()
let lastWindow = "";

/** Rows of bars, one for each name; kept over updates so that widths can move and a reader is not interrupted. */
function bars(id, entries, show) {
  const body = at(id);
  const known = [...body.rows].map((row) => row.dataset.name);
  if (known.join() !== entries.map(([name]) => name).join()) {
    body.replaceChildren(...entries.map(([name, , label]) => {
      const row = document.createElement("tr");
      row.dataset.name = name;
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = label;
      head.title = label;
      const cell = document.createElement("td");
      const line = document.createElement("div");
      const track = document.createElement("span");
      track.className = "track";
      track.setAttribute("aria-hidden", "true");
      const fill = document.createElement("span");
      fill.className = "fill";
      const value = document.createElement("span");
      value.className = "value";
      track.append(fill);
      line.append(track, value);
      cell.append(line);
      row.append(head, cell);
      return row;
    }));
  }
  [...body.rows].forEach((row, place) => {
    const share = entries[place][1];
    row.querySelector(".fill").style.width = share == null ? "0" : `${100 * share}%`;
    row.querySelector(".value").textContent = share == null ? "–" : show(share);
  });
}

function labels() {
  const { expressions, action_units: units } = info?.capabilities ?? { expressions: [], action_units: [] };
  return { expressions, units };
}

/** Network and label of what is read over some seconds of a face. */
function sequences() {
  return Object.entries(info?.capabilities.sequences ?? {})
    .flatMap(([head, labels]) => labels.map((label) => [head, label]));
}

function showInfo(message) {
  info = message;
  document.title = `${info.device} – emotiond`;
  text("device", info.device);
  text("notice", info.privacy.notice);
  text("version", info.version);
  at("watchers-item").hidden = at("looked-item").hidden = !info.privacy.watchers;
  const { expressions, valence_arousal: scores } = info.capabilities;
  at("expressions").hidden = expressions.length === 0;
  at("mood").hidden = !scores;
  document.body.classList.toggle("no-emotion", expressions.length === 0 && !scores);
  document.body.classList.toggle("no-facing", !info.privacy.facing);
  at("units").hidden = labels().units.length === 0;
  at("sequences").hidden = sequences().length === 0;
  at("triggers").hidden = info.triggers.length === 0;
  at("triggers").replaceChildren(...info.triggers.map((name) => {
    const item = document.createElement("li");
    item.dataset.trigger = name;
    return item;
  }));
  info.triggers.forEach((name) => showTrigger(name, "OFF"));
  listenTo(info.triggers);
  showSummary();
}

function showTrigger(name, state) {
  const item = [...at("triggers").children].find((item) => item.dataset.trigger === name);
  if (!item) return;
  item.textContent = `${name}: ${state === "ON" ? "on" : "off"}`;
  item.className = state === "ON" ? "on" : "";
}

function showSummary() {
  const faces = summary?.faces ?? null;
  text("people", faces ? String(faces.max) : "–");
  text("people-unit", faces?.max === 1 ? "person" : "people");
  text("facing", faces?.facing == null ? "–" : percent(faces.facing));
  text("dominant", summary?.expression?.dominant ?? "–");
  text("longest", number(faces?.longest, 0, "s"));
  text("visits-begun", faces ? String(faces.visits) : "–");
  const why = summary === null ? "" : faces ? WHY[summary.suppressed] ?? "" : "The camera sees nothing at the moment.";
  const { expressions, units } = labels();
  bars("expression-bars", expressions.map((name) => [name, summary?.expression?.distribution[name], name]), percent);
  text("expressions-why", why);
  const unit = (name) => [name, summary?.action_units?.[name], NAMES[name] ? `${name} ${NAMES[name]}` : name];
  bars("unit-bars", units.map(unit), (value) => value.toFixed(2));
  text("units-why", why);
  const over = ([head, label]) => [`${head} ${label}`, summary?.sequences?.[head]?.[label], `${head}: ${label}`];
  bars("sequence-bars", sequences().map(over), percent);
  text("sequences-why", why || (summary && !summary.sequences ? "No face has been there for long enough." : ""));
  const { valence, arousal } = summary ?? {};
  text("mood-text", valence && arousal
    ? `valence ${signed(valence.mean)} (unpleasant to pleasant), arousal ${signed(arousal.mean)} (calm to excited)`
    : why || "no reading");
}

/** Adds a window to the last hour; short windows are put together, as emotiond does. */
function addPoint(message, end) {
  const { window: { seconds }, faces, valence, arousal } = message;
  const fresh = {
    end, seconds, people: faces?.max, valence: valence?.mean, arousal: arousal?.mean, facing: faces?.facing,
    visits: faces?.visits, watchers: faces?.watchers,
    ended: faces?.dwell?.ended, dwell: faces?.dwell?.mean, facing_time: faces?.facing_time?.mean,
  };
  const last = points.at(-1);
  if (!last || last.seconds + seconds > POINT) {
    points.push(fresh);
    return;
  }
  const both = (key, join) => last[key] == null ? fresh[key] : fresh[key] == null ? last[key] : join(last[key], fresh[key]);
  const mean = (key, old, young) => both(key, (a, b) => (a * old + b * young) / (old + young));
  const joined = { end, seconds: last.seconds + seconds, people: both("people", Math.max) };
  for (const key of ["valence", "arousal", "facing"]) joined[key] = mean(key, last.seconds, seconds);
  for (const key of ["dwell", "facing_time"]) joined[key] = mean(key, last.ended, fresh.ended);
  for (const key of ["visits", "watchers", "ended"]) joined[key] = both(key, (a, b) => a + b);
  points[points.length - 1] = joined;
}

/** Sums and means over the visits of the last hour. */
function showVisits() {
  const known = (key) => points.filter((point) => point[key] != null);
  const sum = (key) => known(key).reduce((sum, point) => sum + point[key], 0);
  const mean = (key) => {
    const ended = known(key).reduce((sum, point) => sum + point.ended, 0);
    return ended ? known(key).reduce((sum, point) => sum + point.ended * point[key], 0) / ended : null;
  };
  text("visits-hour", known("visits").length ? String(sum("visits")) : "–");
  text("watchers-hour", known("watchers").length ? String(sum("watchers")) : "–");
  text("dwell", number(mean("dwell"), 1, "s"));
  text("looked", number(mean("facing_time"), 1, "s"));
}

function drawHour() {
  const now = performance.now();
  points = points.filter((point) => now - point.end <= 1000 * HOUR);
  const aged = points.map((point) => ({ ...point, ago: (now - point.end) / 1000 }));
  showVisits();
  chart(at("chart"), aged, info?.capabilities.valence_arousal ?? true);
  const current = aged.filter((point) => point.ago < 600).slice(-TRAIL);
  circumplex(at("circumplex"), summary?.valence ? current : []);
  if (!at("hour").querySelector("details").open) return;
  const rows = [];
  for (let minutes = 0; minutes < 60; minutes += 5) {
    const within = aged.filter((point) => point.ago >= 60 * minutes && point.ago < 60 * (minutes + 5));
    const known = (key) => within.map((point) => point[key]).filter((value) => value != null);
    const mean = (key, show) => {
      const values = known(key);
      return values.length ? show(values.reduce((sum, value) => sum + value, 0) / values.length) : "–";
    };
    const people = known("people");
    rows.push([`${minutes} to ${minutes + 5}`, people.length ? String(Math.max(...people)) : "–",
      mean("valence", signed), mean("arousal", signed), mean("facing", percent)]);
  }
  at("hour-rows").replaceChildren(...rows.map(([head, ...cells]) => {
    const row = document.createElement("tr");
    const first = document.createElement("th");
    first.scope = "row";
    first.textContent = head;
    row.append(first, ...cells.map((cell, place) => {
      const element = document.createElement("td");
      element.className = ["", "emotion", "emotion", "facing"][place];
      element.textContent = cell;
      return element;
    }));
    return row;
  }));
}

function eventItem(event) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = event.time;
  time.textContent = new Date(event.time).toLocaleTimeString();
  const counts = ["visit", "people", "faces"].includes(event.signal);
  const name = event.signal === "visit" ? "people" : event.signal;
  const value = event.value === null ? "" : `, ${name} ${counts ? event.value : event.value.toFixed(2)}`;
  item.append(time, `${event.trigger}: ${event.phase} after ${event.seconds.toFixed(1)} s${value}`);
  return item;
}

/** Events of the past, which are not to be read out. */
function showEvents(events) {
  at("log").setAttribute("aria-live", "off");
  at("log").replaceChildren(...events.toReversed().map(eventItem));
  setTimeout(() => at("log").setAttribute("aria-live", "polite"), 1000);
  at("no-events").hidden = events.length > 0;
}

function addEvent(event) {
  at("log").prepend(eventItem(event));
  while (at("log").children.length > EVENTS) at("log").lastChild.remove();
  at("no-events").hidden = true;
}

function showHistory(message) {
  const now = performance.now();
  points = message.points.map(({ ago, ...point }) => ({ ...point, end: now - 1000 * ago }));
  summaryAt = points.at(-1)?.end ?? now;
  showEvents(message.events);
  drawHour();
  tick();
}

function takeSummary(message) {
  const window = `${message.boot} ${message.sequence}`;
  summary = message;
  if (window !== lastWindow && live) {
    summaryAt = performance.now();
    addPoint(message, summaryAt);
    drawHour();
  }
  lastWindow = window;
  showSummary();
  tick();
}

function showHealth(health) {
  text("fps", `${health.fps.toFixed(1)} per second`);
  text("cpu", `${Math.round(100 * health.cpu)} % of a core`);
  text("memory", number(health.memory, 0, "MiB"));
  text("queued", String(health.queued));
}

function state(id, value, good) {
  text(id, value);
  at(id).className = good === null ? "" : good ? "good" : "bad";
}

/** What grows old by itself. */
function tick() {
  if (summary === null) return;
  const seconds = (performance.now() - summaryAt) / 1000;
  const length = summary.window.seconds;
  const late = seconds > (info?.window ?? length) + 20;
  text("window", `most at once in the last ${length.toFixed(0)} s; ${seconds.toFixed(0)} s ago`);
  const note = !connected ? "No connection to emotiond. The numbers are those of the last window; this page tries again."
    : late ? `No window has closed for ${seconds.toFixed(0)} s: the numbers are old.` : "";
  text("note", note);
  at("note").hidden = note === "";
}

let stream = null;
let live = false; // whether all that was said before has been received
let connected = false;
let heard = new Set();

function listenTo(triggers) {
  for (const name of triggers.filter((name) => !heard.has(name))) {
    heard.add(name);
    stream.addEventListener(`event/${name}`, (event) => addEvent(JSON.parse(event.data)));
    stream.addEventListener(`trigger/${name}/state`, (event) => showTrigger(name, event.data));
  }
}

function connect() {
  stream = new EventSource("stream");
  heard = new Set();
  const json = (name, take) => stream.addEventListener(name, (event) => take(JSON.parse(event.data)));
  const lost = () => {
    live = connected = false;
    state("connection", "not connected", false);
    tick();
    // The browser tries again by itself, unless it was refused.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 10000);
  };
  stream.addEventListener("open", () => {
    connected = true;
    state("connection", "live", true);
    tick();
  });
  stream.addEventListener("error", lost);
  json("info", showInfo);
  json("summary", takeSummary);
  json("health", showHealth);
  json("history", (message) => { showHistory(message); live = true; });
  stream.addEventListener("camera/state", ({ data }) => state("camera", CAMERA[data] ?? data, data === "ok"));
  stream.addEventListener("broker/state", ({ data }) => {
    at("broker-item").hidden = false;
    state("broker", data === "ON" ? "connected" : "not connected", data === "ON");
  });
}

at("hour").querySelector("details").addEventListener("toggle", drawHour);
new ResizeObserver(drawHour).observe(at("chart"));
connect();
setInterval(tick, 1000);
