"use strict";
// What screens and models say is put on the page with textContent only.
const byId = (id) => document.getElementById(id);
const state = { header: null, steps: [], writing: "", question: null, ended: null, seen: null, closed: false };
const SVG = "http://www.w3.org/2000/svg";

function make(name, classes, text) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

const seconds = (times) => times.filter(([, s]) => s >= 0.005).map(([part, s]) => `${part} ${s.toFixed(2)} s`).join(" · ");
const callText = (call) => (call ? `${call.name}(${Object.entries(call.arguments).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(", ")})` : "");

function drawHead() {
  const { header, ended, question, closed } = state;
  if (header) {
    byId("goal").textContent = header.goal;
    document.title = header.goal;
    byId("about").textContent = `${header.task} · ${header.policy} · ${header.device} · at most ${header.max_steps} steps`;
  }
  let told = header ? "running" : "waiting for an episode";
  if (question) told = { paused: "paused", take_over: "the device is yours" }[question.kind] ?? "waiting for you";
  if (ended) told = `ended: ${ended.outcome}${ended.message ? `: ${ended.message}` : ""}`;
  if (closed) told += " · the program has ended";
  byId("state").textContent = told;
  for (const button of document.querySelectorAll("#buttons button")) button.disabled = ended !== null || closed;
}

function drawQuestion() {
  const { question } = state, kind = question?.kind ?? "";
  byId("question").hidden = !question;
  document.body.classList.toggle("mine", kind === "take_over");
  if (!question) return;
  const titles = {
    approve: `May it do this? ${callText(question.call)}`,
    unsure: `It is only ${Math.round(100 * (question.confidence ?? 0))} % sure. May it do this? ${callText(question.call)}`,
    answer: `It asks: ${question.text}`,
    paused: question.call ? `Paused before ${callText(question.call)}` : "Paused",
    take_over: "The device is yours: touch the screen below, or use these buttons",
  };
  byId("asked").textContent = titles[kind] ?? kind;
  byId("why").textContent = kind === "answer" ? "" : question.text;
  const wanted = { approve: ["approve", "deny"], unsure: ["approve", "deny"], answer: ["reply"], take_over: ["hand_back"] }[kind] ?? [];
  for (const button of document.querySelectorAll("#question button"))
    button.hidden = button.dataset.do ? !wanted.includes(button.dataset.do) : kind !== "take_over";
  byId("text").hidden = kind === "paused";
  byId("text").placeholder = { answer: "your answer", take_over: "text to type" }[kind] ?? "a reason, if you like";
  drawPlan(question.call);
}

function drawPlan(call) {
  const drawing = document.querySelector("#screen svg"), { seen } = state;
  drawing.replaceChildren();
  if (!seen || !call) return;
  drawing.setAttribute("viewBox", `0 0 ${seen.width} ${seen.height}`);
  for (const value of Object.values(call.arguments)) {
    if (!Array.isArray(value) || value.length !== 2) continue;
    const circle = document.createElementNS(SVG, "circle"), radius = seen.width / 22;
    const values = { cx: ((value[0] + 0.5) / 1000) * seen.width, cy: ((value[1] + 0.5) / 1000) * seen.height, r: radius, class: "ring", "stroke-width": radius / 5 };
    for (const [key, v] of Object.entries(values)) circle.setAttribute(key, v);
    drawing.append(circle);
  }
}

// The planned point, as soon as the model has written it.
function planned(text) {
  const found = [...text.matchAll(/\[\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\]/g)];
  return found.length ? { name: "", arguments: Object.fromEntries(found.map((m, i) => [i, [Number(m[1]), Number(m[2])]])) } : null;
}

function drawScreen() {
  const { seen } = state, image = byId("image");
  if (!seen) return;
  image.width = seen.width;
  image.height = seen.height;
  image.src = `/screen.png?${seen.screen}`;
  image.hidden = false;
  byId("beside").textContent = [`step ${seen.index + 1}`, seen.text].filter(Boolean).join(" · ");
  drawPlan(null);
}

function stepItem(step) {
  const item = make("li");
  item.value = step.index + 1;
  item.append(make("p", "thought", step.thought), make("p", "call", step.call), make("p", `deed${step.error ? " error" : ""}`, step.deed), make("p", "time", [...step.noticed, seconds(step.times)].filter(Boolean).join(" · ")));
  return item;
}

function drawAll() {
  byId("steps").replaceChildren(...state.steps.map(stepItem).reverse());
  byId("writing").textContent = state.writing;
  drawHead();
  drawScreen();
  drawQuestion();
}

const told = {
  all(value) { Object.assign(state, value); drawAll(); },
  began(value) { Object.assign(state, { header: value, steps: [], writing: "", question: null, ended: null }); drawAll(); },
  saw(value) { state.seen = value; state.writing = ""; byId("writing").textContent = ""; drawScreen(); },
  wrote(value) { state.writing += value; byId("writing").textContent = state.writing; drawPlan(planned(state.writing)); },
  did(value) { state.steps.push(value); state.writing = ""; byId("steps").prepend(stepItem(value)); },
  question(value) { state.question = value; drawHead(); drawQuestion(); },
  ended(value) { state.ended = value; state.question = null; drawHead(); drawQuestion(); },
  closed() { state.closed = true; source.close(); drawHead(); },
};

// A passing word; an answer may come later than the news that the episode is over.
function tell(text) {
  if (!state.ended && !state.closed) byId("state").textContent = text;
}

async function press(wanted) {
  const answer = await fetch("/press", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted) });
  const { error, done } = await answer.json();
  if (!answer.ok) tell(error.message);
  else if (!done) tell("that is not possible now");
  else if (wanted.do in COMING && !state.question) tell(COMING[wanted.do]);
}

const COMING = { pause: "pausing before the next action", stop: "stopping", take_over: "the device will be yours before the next action" };
const act = (name, values) => press({ do: "act", call: { name, arguments: values } });

function words() {
  const field = byId("text"), text = field.value;
  field.value = "";
  return text;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { do: wanted, act: tool, key } = button.dataset;
  if (key) act("press_key", { name: key });
  else if (tool) { const text = words(); if (text) act(tool, { text }); }
  else if (wanted === "reply") { const text = words(); if (text) press({ do: wanted, text }); }
  else press({ do: wanted, text: wanted === "deny" ? words() : "", by_hand: "byHand" in button.dataset });
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input")) {
    if (event.key === "Enter") document.querySelector("#question button:not([hidden])[data-do=reply], #question button:not([hidden])[data-act]")?.click();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const wanted = { p: "pause", g: "resume", t: "take_over", s: "stop", a: "approve", d: "deny", b: "hand_back" }[event.key];
  document.querySelector(`button[data-do=${wanted}]:not([hidden]):not([disabled])`)?.click();
});

// The person's finger, while the device is theirs: a touch, a long one, or a swipe.
let down = null;
function place(event) {
  const box = byId("image").getBoundingClientRect();
  const cell = (at, from, size) => Math.max(0, Math.min(999, Math.floor((1000 * (at - from)) / size)));
  return [cell(event.clientX, box.left, box.width), cell(event.clientY, box.top, box.height)];
}
byId("screen").addEventListener("pointerdown", (event) => {
  if (state.question?.kind === "take_over") down = { at: place(event), when: performance.now() };
});
document.addEventListener("pointerup", (event) => {
  if (!down) return;
  const start = down.at, end = place(event), held = performance.now() - down.when;
  down = null;
  if (Math.hypot(end[0] - start[0], end[1] - start[1]) > 30) act("swipe", { start, end });
  else act(held > 600 ? "long_press" : "tap", { point: start });
});

const source = new EventSource("/events");
for (const [kind, hear] of Object.entries(told)) source.addEventListener(kind, (event) => hear(JSON.parse(event.data)));
source.addEventListener("error", () => tell("connecting again"));
