// Names that are taught in front of the camera: a card for each, with a button that adds the picture on show, a field
// for the name, and one that takes it away. The run holds all of it; here is only what it said last.
"use strict";

const LONGEST_NAME = 100;       // characters, as in veca_edge/gallery/gallery.py
const RENAMING = 1500;          // milliseconds until a new name must be back from the run

let refused = "";               // why the last wish was refused, until the next one

async function teach(wishes) {
  let why = "";
  try {
    await ask("control", { teach: wishes });
  } catch (error) {
    why = error.code ? error.message : "not done: no connection";
  }
  refuse(why);
}

function refuse(why) {
  refused = why;
  showTold();
}

function showTold() {
  const taught = status && status.now && status.now.taught;
  setText("taught", refused || (taught ? taught.told : ""));
  $("taught").classList.toggle("refused", Boolean(refused));
}

function showTaught(taught, run) {
  const teaches = Boolean(taught && run.teaches);
  document.body.classList.toggle("teaches", teaches);
  $("teach").hidden = !teaches;
  if (!teaches) return;
  const list = $("places"), numbers = taught.places.map((place) => String(place.number));
  for (const card of [...list.children]) {
    if (!numbers.includes(card.dataset.place)) card.remove();
  }
  taught.places.forEach((place, index) => {
    const found = [...list.children].find((each) => each.dataset.place === numbers[index]);
    const card = found || newCard(place.number);
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] || null);
    fillCard(card, place);
  });
  $("undo").disabled = taught.steps === 0;
  showTold();
}

function newCard(number) {
  const card = document.createElement("li"), add = document.createElement("button");
  const name = document.createElement("input"), remove = document.createElement("button");
  const key = document.createElement("kbd"), count = document.createElement("b");
  card.dataset.place = String(number);
  key.textContent = String(number);
  Object.assign(add, { type: "button", className: "add" });
  Object.assign(remove, { type: "button", className: "remove", textContent: "×" });
  Object.assign(name, { type: "text", autocomplete: "off", spellcheck: false });
  add.append(key, " add ", count);
  add.addEventListener("click", () => teach({ deed: "add", place: number }));
  remove.addEventListener("click", () => teach({ deed: "remove", place: number }));
  name.addEventListener("change", () => rename(number, name));
  name.addEventListener("keydown", (event) => {
    if (event.key === "Escape") name.value = name.dataset.name;
    if (event.key === "Escape" || event.key === "Enter") name.blur();
  });
  card.append(name, add, remove);
  return card;
}

function fillCard(card, place) {
  const [name, add, remove] = card.children, count = add.querySelector("b");
  const told = String(place.examples);
  if (count.textContent !== told) count.textContent = told;
  name.dataset.name = place.name;
  if (name !== document.activeElement && performance.now() > Number(name.dataset.until || 0)) name.value = place.name;
  name.setAttribute("aria-label", `Name ${place.number}`);
  add.setAttribute("aria-label", `Add this picture to ${place.name}, ${place.examples} so far`);
  remove.setAttribute("aria-label", `Remove ${place.name}`);
  remove.disabled = place.examples === 0 && place.name === `thing ${place.number}`;
}

function rename(number, field) {
  const name = field.value.trim(), length = [...name].length;
  if (!name || name === field.dataset.name) {
    field.value = field.dataset.name;
  } else if (length > LONGEST_NAME) {
    refuse(`the name is ${length} characters long: use at most ${LONGEST_NAME}`);
  } else {
    field.dataset.until = String(performance.now() + RENAMING);
    teach({ deed: "rename", place: number, name });
  }
}

// What a key of the keyboard does; undefined for nothing.
function teachKey(key) {
  if (!status.run.teaches) return undefined;
  if (/^[1-9]$/.test(key)) return () => teach({ deed: "add", place: Number(key) });
  return key === "u" ? () => teach({ deed: "undo" }) : undefined;
}
