// The page of `veca-edge run --serve`: two questions to the server that are answered when there is news, one for the
// state and one for the picture, and a few controls. The token, if there is one, came behind the # of the address.
"use strict";

const SIZES = [320, 480, 800, 1280]; // pixels of the longer side, as in veca_edge/web/pictures.py
const SLOW = 160, QUICK = 50;   // milliseconds for one picture: ask for smaller ones, for larger ones
const STATE_PAUSE = 200;        // milliseconds between two looks at the state, on a quick line
const TRAIL = 240;              // points of the curves
const SILENT = 3000;            // milliseconds without a frame until the page says so

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let token = readToken();
let admitted = () => {};        // called when there is a new token to try
let status = null;              // the newest state, null while there is no connection
let trail = [];
let newestFrame = 0;            // when the last frame came, in milliseconds
let hasPicture = false;
let wished = -Infinity;         // when something was pressed, until the state shows it

function readToken() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem("veca-edge-token", given);
    history.replaceState(null, "", location.pathname); // out of sight and of the bookmarks
  }
  return sessionStorage.getItem("veca-edge-token") || "";
}

// Asking ------------------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(code, text) { super(text.trim()); this.code = code; }
}

async function ask(path, wishes) {
  const headers = { "X-Veca-Edge": "1" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(30000) };
  if (wishes) {
    options.method = "POST";
    options.body = JSON.stringify(wishes);
    headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Refused(answer.status, await answer.text());
  return answer;
}

async function followState() {
  let version = -1;
  for (;;) {
    try {
      const begin = performance.now();
      const answer = await ask(`state?after=${version}`);
      const spent = performance.now() - begin; // on a thin line the state leaves room for the picture
      if (answer.status === 200) {
        const told = await answer.json();
        if (version < 0) { trail = []; newestFrame = performance.now(); }
        version = told.version;
        take(told);
      }
      await sleep(document.hidden ? 1000 : Math.min(1000, Math.max(STATE_PAUSE, 2 * spent)));
    } catch (error) {
      version = -1;
      await trouble(error);
    }
  }
}

async function trouble(error) {
  if (error.code === 401) {
    askForToken(token ? "This token is wrong." : "");
    await new Promise((done) => { admitted = done; });
  } else if (error.code) {
    lose(error.message, true);
    await sleep(error.code === 429 ? 5000 : 3000);
  } else {
    lose("Trying again…", false);
    await sleep(1000);
  }
}

async function followPicture() {
  let number = -1, size = 2, quick = 0, asked = null;
  for (;;) {
    if (document.hidden || !status || status.phase === "starting" || number === status.picture && status.phase === "ended") {
      await sleep(150);
      if (!status) number = -1;
      continue;
    }
    try {
      const answer = await (asked || ask(`frame?after=${number}&size=${SIZES[size]}`));
      asked = null;
      if (answer.status !== 200) { await sleep(100); continue; }
      number = Number(answer.headers.get("X-Picture"));
      // The head is here: ask for the next picture while this one is on the line, which saves a way there and back.
      asked = ask(`frame?after=${number}&size=${SIZES[size]}`);
      asked.catch(() => {}); // told where it is waited for
      const begin = performance.now();
      const data = await answer.blob();
      const spent = performance.now() - begin;
      await showPicture(data);
      quick = spent < QUICK ? quick + 1 : 0;
      if (spent > SLOW && size > 0) size -= 1;
      else if (quick > 20 && size < SIZES.length - 1 && wantsMore(size)) { size += 1; quick = 0; }
    } catch {
      asked = null;
      await sleep(500); // the state's loop tells what is wrong
    }
  }
}

function wantsMore(size) {
  const picture = $("picture");
  return Math.max(picture.clientWidth, picture.clientHeight) * devicePixelRatio > SIZES[size]
    && Math.max(picture.naturalWidth, picture.naturalHeight) >= SIZES[size];
}

async function showPicture(data) {
  const picture = $("picture"), last = picture.src;
  picture.src = URL.createObjectURL(data);
  await picture.decode().catch(() => {});
  if (last) URL.revokeObjectURL(last);
  picture.hidden = false;
  hasPicture = true;
  if (status) showPhase();
}

// Showing -----------------------------------------------------------------------------------------------------

function take(told) {
  const before = status;
  status = told;
  if (told.now && (!before || !before.now || before.now.time !== told.now.time || before.now.index !== told.now.index)) {
    newestFrame = performance.now();
  }
  trail = trail.concat(told.trail).slice(-TRAIL);
  if (told.run && (!before || JSON.stringify(before.run) !== JSON.stringify(told.run))) offer(told.run);
  showPhase();
  if (told.now) { showNumbers(told.now, told.run); showTaught(told.now.taught, told.run); }
  if (told.now && before && before.now && told.now.reason !== before.now.reason) say(told.now.reason);
}

const ENDINGS = { end: "The source has ended", frames: "All frames are done", SIGINT: "Stopped at the device", SIGTERM: "Stopped at the device" };

function showPhase() {
  const paused = status.now && status.now.chosen.paused;
  const silent = status.phase === "running" && !paused && performance.now() - newestFrame > SILENT;
  const phase = status.phase === "running" ? (paused ? "paused" : silent ? "waiting" : "live") : status.phase;
  setPhase(phase, { live: "live", paused: "paused", waiting: "waiting", ended: "ended", starting: "starting" }[phase]);
  const running = status.phase === "running";
  for (const id of ["pause", "snapshot", "view-choice", "head-choice"]) $(id).disabled = !running;
  $("cores-choice").disabled = !running || status.run.alternating;
  $("teach").inert = !running;
  if (phase === "ended") {
    const sum = status.summary;
    const done = sum ? `${sum.frames} frames in ${sum.seconds.toFixed(1)} s, ${sum.fps.toFixed(1)} fps. The page goes on with the next run.` : "";
    showCard(sum ? ENDINGS[sum.stopped] || "The run has ended" : "The run has ended", status.message || done, true);
  } else if (phase === "starting") {
    showCard("Starting…", status.message || "The model is being loaded.", false);
  } else if (phase === "waiting") {
    showCard("Waiting for frames…", status.message, true);
  } else if (!hasPicture) {
    showCard("Waiting for the first picture…", status.message, false);
  } else {
    hideCard();
  }
}

function setPhase(phase, words) {
  document.body.classList.toggle("locked", words === "locked");
  const chip = $("phase");
  if (chip.dataset.phase !== phase) say(words);
  chip.dataset.phase = phase;
  chip.textContent = words;
}

function showCard(title, text, stale) {
  setText("card-title", title);
  setText("card-text", text);
  $("key").hidden = true;
  $("card").hidden = false;
  $("stage").classList.toggle("stale", stale);
}

function hideCard() {
  $("card").hidden = true;
  $("stage").classList.remove("stale");
}

function lose(text, told) {
  const ended = status && status.phase === "ended" || $("phase").dataset.phase === "ended";
  status = null;
  for (const id of ["pause", "snapshot", "cores-choice", "view-choice", "head-choice"]) $(id).disabled = true;
  $("teach").inert = true;
  if (ended && !told) return; // the server is expected to be gone
  setPhase("lost", "no connection");
  showCard(told ? "The device refused the request" : "No connection", text, true);
}

function askForToken(text) {
  status = null;
  setPhase("lost", "locked");
  showCard("This view is locked", text || "Open the address that was printed at the device, or enter its token.", true);
  $("key").hidden = false;
}

function setText(id, text) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
}

function showNumbers(now, run) {
  const auto = now.chosen.cores === null && run && run.auto;
  setText("cores", String(now.cores));
  setText("cores-of", auto ? "auto" : run && run.alternating ? "alternating" : "");
  setText("latency", now.latency_ms.toFixed(now.latency_ms < 100 ? 1 : 0));
  setText("latency-of", trail.length ? `ms, peak ${Math.max(...trail.map((step) => step[1])).toFixed(0)}` : "ms");
  setText("fps", now.fps === null ? "–" : now.fps.toFixed(now.fps < 10 ? 1 : 0));
  setText("fps-of", now.rate && now.fps && now.rate < 0.9 * now.fps ? `fps, model ${now.rate.toFixed(0)}` : "fps");
  setText("patches", String(now.patches));
  setText("patches-of", `of ${now.patches_total}` + (now.patch_budget === null ? "" : `, max ${now.patch_budget}`));
  $("patches-bar").style.width = `${100 * now.patches / now.patches_total}%`;
  const [height, width] = now.image_size;
  setText("size", width === height ? String(width) : `${width}×${height}`);
  showDevice(now.device);
  setText("reason", now.reason);
  $("picture").alt = `The run's picture, ${now.chosen.view} view. ${now.gallery ? named(now.gallery) : now.sure ? best(now.labels) : now.labels.length ? "Not sure." : ""}`;
  draw($("latency-curve"), trail.map(([time, latency]) => [time, latency]), usual(), false);
  draw($("cores-curve"), trail.map(([time, , cores]) => [time, cores]), Math.max(...run.budgets), true);
  showChosen(now.chosen);
}

// The top of the latency's curve: one slow start must not flatten all that follows.
function usual() {
  const sorted = trail.map((step) => step[1]).sort((a, b) => a - b);
  return sorted.length ? Math.max(1, Math.min(sorted[sorted.length - 1], 6 * sorted[sorted.length >> 1])) : 1;
}

function best(labels) {
  const [first] = labels;
  return first && first.probability !== null ? `${first.label}, ${Math.round(first.probability * 100)} %.` : "";
}

function named(match) { return match.sure || match.ties.length ? `${[match.label, ...match.ties].join(" or ")}.` : "Unknown."; }

function showDevice(device) {
  setText("battery", device.battery === null ? "–" : `${Math.round(device.battery * 100)} %`);
  setText("battery-of", [device.charging ? "charging" : "", device.low_power ? "low-power mode" : ""].filter(Boolean).join(", "));
  $("battery").dataset.level = device.battery !== null && device.battery < 0.2 && !device.charging ? "low" : "";
  setText("heat", device.thermal || "–");
  $("heat").dataset.level = device.thermal || "";
  setText("heat-of", device.power === null ? "" : `${device.power.toFixed(1)} W`);
}

function draw(svg, points, top, steps) {
  if (points.length < 2) return;
  const last = points[points.length - 1][0], span = Math.max(15, last - points[0][0]);
  const at = ([time, value]) => [240 * (1 - (last - time) / span), 38 - 36 * Math.min(1, value / top)];
  let line = "", y0 = 0;
  for (const point of points) {
    const [x, y] = at(point).map((value) => value.toFixed(1));
    line += line ? (steps ? `L${x} ${y0}L${x} ${y}` : `L${x} ${y}`) : `M${x} ${y}`;
    y0 = y;
  }
  if (!svg.firstChild) {
    for (const name of ["under", "line"]) {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      svg.append(path);
    }
  }
  svg.children[0].setAttribute("d", `${line}L240 40L${at(points[0])[0].toFixed(1)} 40Z`);
  svg.children[1].setAttribute("d", line);
}

// Steering ----------------------------------------------------------------------------------------------------

function offer(run) {
  setText("model", run.model);
  setText("source", run.source);
  document.title = `${run.source.split("/").pop()} · veca-edge`;
  fill("cores-choice", "cores", [...(run.auto ? ["auto"] : []), ...run.budgets]);
  fill("view-choice", "view", run.views);
  fill("head-choice", "head", run.heads);
  $("head-choice").hidden = true; // shown beside masks, if there are several
}

function fill(id, name, values) {
  const labels = values.map((value) => {
    const label = document.createElement("label"), input = document.createElement("input"), text = document.createElement("span");
    Object.assign(input, { type: "radio", name, value: String(value) });
    input.addEventListener("change", () => wish({ [name]: value }));
    text.textContent = String(value);
    label.append(input, text);
    return label;
  });
  $(id).querySelector("div").replaceChildren(...labels);
  $(id).hidden = false;
}

function showChosen(chosen) {
  if (performance.now() - wished < 1500) return; // not yet back from the run
  check("cores", chosen.cores === null ? "auto" : String(chosen.cores));
  check("view", chosen.view);
  check("head", chosen.head);
  $("head-choice").hidden = chosen.view !== "masks" || status.run.heads.length < 2;
  $("pause").setAttribute("aria-pressed", String(chosen.paused));
  setText("pause", chosen.paused ? "Resume" : "Pause");
}

function check(name, value) {
  for (const input of document.getElementsByName(name)) input.checked = input.value === value;
}

async function wish(wishes) {
  wished = performance.now();
  const [[name, value]] = Object.entries(wishes);
  try {
    await ask("control", wishes);
    say(name === "paused" ? (value ? "paused" : "resumed") : `${name} ${value}`);
  } catch (error) {
    wished = -Infinity;
    say(error.message);
  }
  setTimeout(() => { wished = -Infinity; if (status && status.now) showChosen(status.now.chosen); }, 700);
}

async function saveSnapshot() {
  try {
    const data = await (await ask("snapshot")).blob();
    const link = document.createElement("a"), when = new Date();
    const two = (value) => String(value).padStart(2, "0");
    link.href = URL.createObjectURL(data);
    link.download = `veca-${when.getFullYear()}${two(when.getMonth() + 1)}${two(when.getDate())}`
      + `-${two(when.getHours())}${two(when.getMinutes())}${two(when.getSeconds())}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`saved ${link.download}`);
  } catch (error) {
    say(error.message);
  }
}

const KEYS = {
  "+": () => step(1), "=": () => step(1), "-": () => step(-1), "_": () => step(-1),
  "a": () => status.run.auto && choose("cores", "auto"),
  "v": () => choose("view", status.run.views[(status.run.views.indexOf(picked("view")) + 1) % status.run.views.length]),
  "n": () => picked("view") === "masks" && choose("head", status.run.heads[(status.run.heads.indexOf(picked("head")) + 1) % status.run.heads.length]),
  " ": () => $("pause").click(),
  "s": () => $("snapshot").click(),
  "f": () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen()),
};

function step(by) {
  const { budgets } = status.run, now = picked("cores");
  if (now === "auto") return choose("cores", budgets[by > 0 ? budgets.length - 1 : 0]);
  const place = budgets.indexOf(Number(now)) + by;
  return choose("cores", budgets[Math.min(Math.max(place, 0), budgets.length - 1)]);
}

function picked(name) {
  const input = [...document.getElementsByName(name)].find((each) => each.checked);
  return input ? input.value : "";
}

function choose(name, value) {
  if ($(`${name}-choice`).disabled) return;
  check(name, String(value));
  wish({ [name]: value });
}

function say(text) {
  $("said").textContent = text;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !status || !status.run) return;
  if (event.target.matches("#token, #places input") || (event.key === " " && event.target.matches("button, input"))) return;
  const action = KEYS[event.key] || (status.phase === "running" && teachKey(event.key));
  if (action) { event.preventDefault(); action(); }
});
$("pause").addEventListener("click", () => wish({ paused: $("pause").getAttribute("aria-pressed") !== "true" }));
$("snapshot").addEventListener("click", saveSnapshot);
$("undo").addEventListener("click", () => teach({ deed: "undo" }));
$("picture").addEventListener("dblclick", () => KEYS.f());
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("veca-edge-token", token);
  $("token").value = "";
  admitted();
});
setInterval(() => { if (status) showPhase(); }, 1000);
followState();
followPicture();
