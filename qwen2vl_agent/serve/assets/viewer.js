"use strict";
// What records say is put on the page with textContent and attributes only: it is never read as HTML.
const PARTS = ["capture", "preprocess", "vit", "prefill", "decode", "thinking", "perform", "settle"];
const UNSURE = 0.5;
const byId = (id) => document.getElementById(id);
const inPage = byId("episodes") !== null;
const state = { cards: [], left: null, right: null, rows: [], at: 0 };

function make(name, classes, text) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

function svg(name, values) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
  return element;
}

async function read(name, address) {
  if (inPage) return JSON.parse(byId(name).textContent);
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.text()) || answer.statusText);
  return answer.json();
}

async function episode(number) {
  const found = await read(`episode-${number}`, `/episodes/${number}.json`);
  found.number = number;
  return found;
}

const frameAddress = (side, frame) =>
  inPage ? byId(`frame-${frame}`).textContent : `/frames/${side.number}/${frame}.png`;
const address = (side, step) => frameAddress(side, step.frame);
const share = (p) => (p === null ? "unknown" : p >= 0.9995 ? "1.00" : p < 0.001 ? p.toExponential(1) : p.toFixed(3));
const seconds = (s) => (s >= 10 ? s.toFixed(1) : s.toFixed(2)) + " s";
const total = (step) => step.times.reduce((sum, [, s]) => sum + s, 0);
const partClass = (part) => (PARTS.includes(part) ? part : "other");
const unsure = (step) => step.tokens.some(([, raw, drawn, forced]) => !forced && (drawn ?? raw ?? 1) < UNSURE);

// Rows of the filmstrip: a step alone, or the steps of two runs side by side, aligned by their longest common
// subsequence of calls, so that one step more in one run does not make all that follow differ.
function aligned(left, right) {
  if (!right) return left.steps.map((_, i) => [i, null]);
  const a = left.steps.map((s) => s.call), b = right.steps.map((s) => s.call);
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
  const rows = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    const fits = i < a.length && j < b.length;
    if (fits && a[i] === b[j]) rows.push([i++, j++]);
    else if (fits && best[i + 1][j + 1] === best[i][j]) rows.push([i++, j++]);
    else if (j >= b.length || (i < a.length && best[i + 1][j] >= best[i][j + 1])) rows.push([i++, null]);
    else rows.push([null, j++]);
  }
  return rows;
}

function differs([i, j]) {
  if (!state.right) return false;
  if (i === null || j === null) return true;
  const a = state.left.steps[i], b = state.right.steps[j];
  return a.call !== b.call || a.frame !== b.frame || a.error !== b.error;
}

const shown = ([i, j]) => (i === null ? [state.right, state.right.steps[j], j] : [state.left, state.left.steps[i], i]);
const notable = (row) => (state.right ? differs(row) : shown(row)[1].error !== "" || unsure(shown(row)[1]));

function drawStrip() {
  const strip = byId("strip"), chart = byId("chart");
  const cells = document.createDocumentFragment(), bars = document.createDocumentFragment();
  const most = Math.max(0.001, ...state.rows.map((row) => total(shown(row)[1])));
  state.rows.forEach((row, number) => {
    const [side, step, index] = shown(row);
    const cell = make("div", "cell");
    cell.id = `step-${number}`;
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-label", `Step ${index + 1}: ${step.call}${differs(row) ? ", differs" : ""}${step.error ? ", not done" : ""}`);
    cell.classList.toggle("mistake", step.error !== "");
    cell.classList.toggle("differs", differs(row));
    const small = make("div", "small"), image = make("img");
    image.alt = "";
    cell.look = () => { image.src = address(side, step); };
    small.append(image);
    cell.append(small, make("b", "", String(index + 1)));
    cell.addEventListener("click", () => go(number));
    placeSpots(small, step);
    cells.append(cell);
    const bar = make("div");
    for (const [part, s] of step.times) {
      const piece = make("i", partClass(part));
      piece.style.height = `${(40 * s) / most}px`;
      bar.append(piece);
    }
    bar.title = `step ${index + 1}: ${seconds(total(step))}`;
    bar.addEventListener("click", () => go(number));
    bars.append(bar);
  });
  strip.replaceChildren(cells);
  chart.replaceChildren(bars);
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { entry.target.look(); watch.unobserve(entry.target); }
  }, { root: strip, rootMargin: "0px 600px" });
  for (const cell of strip.children) watch.observe(cell);
  drawLegend();
}

// The small picture is fitted into its cell; a spot's place follows the fit.
function placeSpots(small, step) {
  const wide = 48, high = 104, scale = Math.min(wide / step.width, high / step.height);
  const left = (wide - step.width * scale) / 2, top = (high - step.height * scale) / 2;
  for (const [x, y] of step.points) {
    const spot = make("span", "spot");
    spot.style.left = `${left + x * step.width * scale}px`;
    spot.style.top = `${top + y * step.height * scale}px`;
    small.append(spot);
  }
}

function drawLegend() {
  const found = new Map();
  for (const row of state.rows) for (const [part, s] of shown(row)[1].times) found.set(part, (found.get(part) ?? 0) + s);
  const items = [...found].filter(([, s]) => s > 0).map(([part, s]) => {
    const item = make("span");
    item.append(make("span", `swatch ${partClass(part)}`), `${part} ${seconds(s)}`);
    return item;
  });
  byId("legend").replaceChildren(...items);
}

function overlay(drawing, step) {
  drawing.setAttribute("viewBox", `0 0 ${step.width} ${step.height}`);
  const radius = step.width / 22, points = step.points.map(([x, y]) => [x * step.width, y * step.height]);
  const pieces = [];
  if (points.length === 2) {
    const [[x, y], [u, v]] = points, angle = Math.atan2(v - y, u - x), r = radius;
    pieces.push(svg("path", { d: `M${x} ${y}L${u} ${v}`, class: "way", "stroke-width": radius / 3 }));
    const corner = (turn) => `${u + r * Math.cos(angle + turn)} ${v + r * Math.sin(angle + turn)}`;
    pieces.push(svg("path", { d: `M${corner(0)}L${corner(2.4)}L${corner(-2.4)}Z`, class: "tip" }));
    points.pop();
  }
  for (const [x, y] of points) {
    pieces.push(svg("circle", { cx: x, cy: y, r: radius, class: "ring", "stroke-width": radius / 6 }));
    if (step.gesture === "long_press" || step.gesture === "double_tap")
      pieces.push(svg("circle", { cx: x, cy: y, r: radius * 1.5, class: "ring", "stroke-width": radius / 8 }));
    pieces.push(svg("circle", { cx: x, cy: y, r: radius / 4, class: "core", "stroke-width": radius / 12 }));
  }
  drawing.replaceChildren(...pieces);
}

function tokens(box, told, step) {
  if (!step.tokens.length) { box.textContent = step.text; return; }
  for (const [text, raw, drawn, forced] of step.tokens) {
    const p = drawn ?? raw;
    const level = forced || p === null || p >= 0.9 ? "" : p >= UNSURE ? " p1" : p >= 0.1 ? " p2" : " p3";
    const token = make("span", `tok${level}${forced ? " forced" : ""}`, text);  // a button would not break into lines
    token.setAttribute("role", "button");
    token.tabIndex = -1;
    const why = forced ? "forced: the form of a call left no choice" : `probability ${share(raw)}${drawn !== null && drawn !== raw ? `, among those allowed ${share(drawn)}` : ""}`;
    token.setAttribute("aria-label", `${JSON.stringify(text)}, ${why}`);
    const tell = () => { told.textContent = `${JSON.stringify(text)}: ${why}`; };
    for (const event of ["click", "focus", "mouseenter"]) token.addEventListener(event, tell);
    box.append(token);
  }
  if (box.firstChild) box.firstChild.tabIndex = 0;
  box.addEventListener("keydown", (event) => {
    const move = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    if (!move) return;
    event.stopPropagation();
    event.preventDefault();
    document.activeElement[move]?.focus();
  });
}

function drawSide(side, index, row) {
  const page = byId("side").content.cloneNode(true), put = (place, text) => { page.querySelector(place).textContent = text; };
  const article = page.querySelector("article");
  if (index === null) {
    article.replaceChildren(make("h2", "", side.name), make("p", "gap", "no step of this run fits here"));
    return article;
  }
  const step = side.steps[index];
  article.classList.toggle("differs", differs(row));
  put("h2", `${state.right ? `${side.name} · ` : ""}step ${index + 1} of ${side.steps.length}${differs(row) && row[0] !== null && row[1] !== null ? (state.left.steps[row[0]].frame === state.right.steps[row[1]].frame ? " · same screen, other call" : " · another screen") : ""}`);
  const image = page.querySelector("figure img");
  image.width = step.width;
  image.height = step.height;
  image.alt = `The screen before step ${index + 1}`;
  image.src = address(side, step);
  overlay(page.querySelector("svg"), step);
  put("figcaption", [`${step.width} × ${step.height}`, `reward ${step.reward}`, ...step.noticed].join(" · "));
  const clip = page.querySelector(".clip");
  clip.hidden = step.clip.length === 0;
  step.clip.forEach((frame, place) => {
    const seen = make("img");
    seen.src = frameAddress(side, frame);
    seen.alt = seen.title = `${step.taken[place].toFixed(2)} s`;
    clip.append(seen);
  });
  page.querySelector(".observation").hidden = !step.observation;
  put(".observation p", step.observation);
  put(".thought", step.thought || "(none)");
  put(".call", step.call);
  const deed = page.querySelector(".deed");
  deed.textContent = step.deed;
  deed.classList.toggle("error", step.error !== "");
  const target = page.querySelector(".target");
  const sure = step.confidence === null ? "" : ` · the call's probability ${share(step.confidence)}`;
  target.textContent = (step.target ? "· training target" : `· not a training target: ${step.why}`) + sure;
  target.classList.toggle("yes", step.target);
  const box = page.querySelector(".tokens");
  box.classList.toggle("learnt", step.target);
  tokens(box, page.querySelector("output"), step);
  const all = total(step), counts = ["read", "cached", "written"].filter((k) => k in step.counts).map((k) => `${step.counts[k]} ${k}`);
  put(".total", `· ${seconds(all)}${counts.length ? ` · tokens: ${counts.join(", ")}` : ""}`);
  for (const [part, s] of step.times) {
    const piece = make("i", partClass(part)), item = make("li");
    piece.style.width = `${(100 * s) / Math.max(all, 1e-9)}%`;
    page.querySelector(".bar").append(piece);
    item.append(make("span", `swatch ${partClass(part)}`), `${part} ${s < 0.1 ? `${(1000 * s).toFixed(0)} ms` : seconds(s)}`);
    page.querySelector(".parts").append(item);
  }
  return article;
}

function go(number) {
  if (!state.rows.length) return;
  const strip = byId("strip"), chart = byId("chart");
  for (const old of [strip.children[state.at], chart.children[state.at]]) {
    old?.removeAttribute("aria-selected");
    old?.classList.remove("now");
  }
  state.at = Math.max(0, Math.min(state.rows.length - 1, number));
  const row = state.rows[state.at], cell = strip.children[state.at];
  cell.setAttribute("aria-selected", "true");
  chart.children[state.at].classList.add("now");
  strip.setAttribute("aria-activedescendant", cell.id);
  strip.scrollLeft = cell.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
  const sides = [drawSide(state.left, row[0], row)];
  if (state.right) sides.push(drawSide(state.right, row[1], row));
  byId("sides").classList.toggle("two", state.right !== null);
  byId("sides").replaceChildren(...sides);
}

function drawHead() {
  const { left, right } = state;
  byId("goal").textContent = left.goal;
  document.title = left.goal;
  const about = byId("about");
  about.replaceChildren();
  for (const side of [left, right]) {
    if (!side) continue;
    if (side === right) about.append("\n");
    about.append(`${right ? `${side.name}: ` : ""}${side.task} · ${side.policy} · ${side.device} · seed ${side.seed ?? "none"} · ${side.steps.length} steps · `);
    about.append(make("span", `outcome ${side.outcome ?? "open"}`, side.outcome ?? "not ended"));
    if (side.message) about.append(`: ${side.message}`);
  }
  if (right) {
    const first = state.rows.findIndex(differs);
    about.append(first < 0 ? "\nno difference" : `\n${state.rows.filter(differs).length} of ${state.rows.length} steps differ, the first is ${shown(state.rows[first])[2] + 1}`);
  }
}

async function show() {
  const left = byId("episode").value, right = byId("other").value;
  try {
    byId("problem").hidden = true;
    state.left = await episode(Number(left));
    state.right = right === "" ? null : await episode(Number(right));
    state.rows = aligned(state.left, state.right);
    state.at = 0;
    drawHead();
    drawStrip();
    byId("sides").replaceChildren(make("p", "gap", "This episode has no steps."));
    const first = state.right ? state.rows.findIndex(differs) : 0;
    go(Math.max(0, first));
    document.body.dataset.shown = `${left},${right}`;
  } catch (error) {
    byId("problem").hidden = false;
    byId("problem").textContent = error.message;
  }
}

function onKey(event) {
  if (event.target.closest("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const jump = { ArrowRight: state.at + 1, ArrowLeft: state.at - 1, Home: 0, End: state.rows.length - 1 }[event.key];
  if (jump !== undefined) { go(jump); event.preventDefault(); }
  else if (event.key === "n") { const next = state.rows.findIndex((row, i) => i > state.at && notable(row)); if (next > 0) go(next); }
  else if (event.key === "m") document.body.classList.toggle("plain");
  else if (event.key === "c") byId("other").focus();
}

async function begin() {
  try { state.cards = await read("episodes", "/episodes.json"); } catch (error) {
    byId("problem").hidden = false;
    byId("problem").textContent = error.message;
    return;
  }
  state.cards.forEach((card, number) => {
    for (const id of ["episode", "other"]) {
      const option = make("option", "", `${card.name} (${card.outcome ?? "not ended"})`);
      option.value = number;
      byId(id).append(option);
    }
  });
  byId("episode").addEventListener("change", show);
  byId("other").addEventListener("change", show);
  byId("help").addEventListener("click", () => {
    byId("keys").hidden = !byId("keys").hidden;
    byId("help").setAttribute("aria-expanded", String(!byId("keys").hidden));
  });
  document.addEventListener("keydown", onKey);
  await show();
  byId("strip").focus({ preventScroll: true });
}
begin();
