// One person's desk. What is pressed shows at once and is kept here until the server has stored it: a queue in memory
// and in the browser's own storage, sent again until each change is acknowledged by its id. So nothing is lost when the
// tab is closed, the connection breaks or the server starts anew, and nothing is stored twice. Several items lie ready,
// so that fast keys land on the item that is shown; where none lies ready, keys are not taken.
const RESEND = 2000;
const LONGEST_PAUSE = 60;
const SAVE_COMMENT = 800;
const DEAF = 1500;
const STORE = "steper-labels";
const NEXT = ["Enter", "j", "ArrowRight"];
const BACK = ["k", "ArrowLeft"];

let desk = null;
let listener = null;
let timer = null;

const uid = () =>
  globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${Math.random().toString(36).slice(2)}`;

const openDesk = (name) => {
  const made = {
    name,
    tab: uid(),
    data: null,
    queue: [],
    sent: 0,
    nonce: 0,
    asked: null,
    cursor: null,
    undo: [],
    remarks: [],
    said: "",
    // null: what the step at hand found is unfolded, the rest is not.
    open: null,
    help: false,
    deafUntil: 0,
    seconds: new Map(),
    last: Date.now(),
    nodes: null,
  };
  // Whatever other visits of this person left behind is taken over; an id is stored once however often it comes.
  const own = `${STORE}:${name}:`;
  // What follows is the id of a visit: with a colon in it the name would be longer, and another person's.
  const left = (each) => each.startsWith(own) && !each.slice(own.length).includes(":");
  try {
    Object.keys(localStorage).filter(left).forEach((key) => takeOver(made.queue, key));
  } catch {
    made.said = "This browser keeps nothing: do not close the tab before everything is saved.";
  }
  return made;
};

const takeOver = (queue, key) => {
  try {
    queue.push(...JSON.parse(localStorage.getItem(key)));
  } catch {
    // Nothing that a desk has written: it keeps no other visit's from being taken over.
  }
  localStorage.removeItem(key);
};

const keep = () => {
  const key = `${STORE}:${desk.name}:${desk.tab}`;
  try {
    if (desk.queue.length) localStorage.setItem(key, JSON.stringify(desk.queue));
    else localStorage.removeItem(key);
  } catch {
    // A full or forbidden store: the queue in memory is still sent.
  }
};

const item = (id = desk.cursor?.id) => desk.data.items.find((each) => each.id === id);
const places = (of) => [...of.steps.map((step) => step.number), 0];
const verdictsAt = (number) => (number ? desk.data.rubric.steps : desk.data.rubric.chain);
const askedAt = (of, number) => verdictsAt(number).filter((verdict) => !verdict.ability || of.abilities.includes(verdict.ability));

const valueOf = (id, number, field) => {
  const change = desk.queue.findLast((each) => each.item === id && each.number === number && each.field === field);
  return change ? change.value : (item(id)?.labels[`${number}/${field}`] ?? null);
};
const stateOf = (id) => {
  const change = desk.queue.findLast((each) => each.item === id && ["submit", "skip", "reopen"].includes(each.field));
  return change ? { submit: "submitted", skip: "skipped", reopen: "held" }[change.field] : item(id)?.state;
};
const isSet = (value) => value !== null && value !== "" && !(Array.isArray(value) && !value.length);
const missingAt = (of, number) => askedAt(of, number).filter((verdict) => !isSet(valueOf(of.id, number, verdict.name)));
const firstMissing = (of) => places(of).find((number) => missingAt(of, number).length);

const send = () => {
  if (!desk.queue.length || (desk.sent && Date.now() - desk.sent < RESEND)) return;
  desk.sent = Date.now();
  desk.nonce += 1;
  desk.setState({ nonce: `${desk.tab}-${desk.nonce}`, events: desk.queue });
};

const work = () => {
  const now = Date.now();
  const id = desk.cursor?.id;
  if (id !== undefined) desk.seconds.set(id, (desk.seconds.get(id) ?? 0) + Math.min(LONGEST_PAUSE, (now - desk.last) / 1000));
  desk.last = now;
};

const put = (id, number, field, value, seconds = null) => {
  work();
  desk.queue.push({ uid: uid(), item: id, number, field, value, seconds });
  keep();
  send();
};

const say = (words) => {
  desk.said = words;
  desk.nodes.live.textContent = words;
};

const nameOf = (number) => (number ? `step ${number}` : "the whole chain");

const change = (number, field, value, words) => {
  const { id } = desk.cursor;
  desk.undo.push({ id, number, field, before: valueOf(id, number, field) });
  put(id, number, field, value);
  drawLabels();
  say(`${nameOf(number)}: ${words}`);
};

const rate = (verdict, label) => {
  const { id, place } = desk.cursor;
  const same = valueOf(id, place, verdict.name) === label.value;
  change(place, verdict.name, same ? null : label.value, same ? `${verdict.title} cleared` : `${verdict.title} ${label.name}`);
};

const mark = (tag) => {
  const { id, place } = desk.cursor;
  const given = valueOf(id, place, "tags") ?? [];
  const has = given.includes(tag.name);
  change(place, "tags", has ? given.filter((each) => each !== tag.name) : [...given, tag.name], `${tag.title} ${has ? "taken off" : "set"}`);
};

const go = (id, place) => {
  work();
  leaveComment();
  desk.cursor = { id, place };
  desk.remarks = [];
  drawAll();
};

const nextItem = () => {
  const { items } = desk.data;
  const at = items.findIndex((each) => each.id === desk.cursor.id);
  return items.slice(at + 1).find((each) => stateOf(each.id) === "held") ?? items.find((each) => stateOf(each.id) === "held");
};

const leaveItem = (words) => {
  const next = nextItem();
  if (next) go(next.id, firstMissing(next) ?? places(next)[0]);
  else go(null, 0);
  say(words);
};

const next = () => {
  const of = item();
  if (!of) return;
  const all = places(of);
  const at = all.indexOf(desk.cursor.place);
  if (at < all.length - 1) return go(of.id, all[at + 1]);
  if (!of.available) return say("This chain is not stored here: skip it with s.");
  const lacking = firstMissing(of);
  if (lacking !== undefined) {
    go(of.id, lacking);
    return say(`${nameOf(lacking)} has no ${missingAt(of, lacking)[0].title} yet`);
  }
  if (stateOf(of.id) === "submitted") return leaveItem("on to the next item");
  work();
  desk.undo.push({ id: of.id, number: 0, field: "submit", before: stateOf(of.id) });
  put(of.id, 0, "submit", null, Math.round((desk.seconds.get(of.id) ?? 0) * 10) / 10);
  leaveItem("item submitted");
};

const back = () => {
  const { items } = desk.data;
  const of = item();
  const all = of ? places(of) : [];
  const at = all.indexOf(desk.cursor?.place);
  if (at > 0) return go(of.id, all[at - 1]);
  const before = of ? items[items.indexOf(of) - 1] : items.at(-1);
  if (!before) return say("nothing before this");
  go(before.id, 0);
  say(stateOf(before.id) === "submitted" ? "the item before; it was submitted, changes are kept in the history" : "the item before");
};

const undo = () => {
  const last = desk.undo.pop();
  if (!last || !item(last.id)) return say("nothing to undo");
  if (last.field === "submit" || last.field === "skip") {
    put(last.id, 0, "reopen", null);
    go(last.id, 0);
    return say(`${last.field} undone`);
  }
  // Else the field, which is left now, would write down once more what it shows.
  if (last.field === "comment") desk.nodes.area = null;
  put(last.id, last.number, last.field, last.before);
  go(last.id, last.number);
  say(`${nameOf(last.number)}: undone`);
};

const skip = () => {
  const of = item();
  if (!of || stateOf(of.id) !== "held") return say("this item is done: it cannot be skipped");
  desk.undo.push({ id: of.id, number: 0, field: "skip", before: "held" });
  put(of.id, 0, "skip", null);
  leaveItem("item skipped");
};

const saveComment = () => {
  const { area } = desk.nodes;
  if (!area) return;
  const { item: id, place } = area.dataset;
  const before = valueOf(Number(id), Number(place), "comment") ?? "";
  if (area.value === before) return;
  desk.undo.push({ id: Number(id), number: Number(place), field: "comment", before });
  put(Number(id), Number(place), "comment", area.value);
  drawLabels();
};

const leaveComment = () => {
  clearTimeout(desk.typing);
  saveComment();
};

const fold = () => {
  desk.open = desk.open === null ? true : !desk.open;
  for (const each of desk.nodes.evidence.querySelectorAll("details")) each.open = desk.open;
};

const showHelp = (shown = !desk.help) => {
  desk.help = shown;
  desk.nodes.help.hidden = !shown;
  if (shown) desk.nodes.help.querySelector("button").focus();
};

const answer = (key) => {
  if (key === "?") return showHelp;
  if (NEXT.includes(key)) return next;
  if (BACK.includes(key)) return back;
  if (key === "u") return undo;
  if (!item()) return null;
  if (key === "s") return skip;
  if (key === "p") return fold;
  if (key === "c") return () => desk.nodes.area?.focus();
  const { place } = desk.cursor;
  for (const verdict of askedAt(item(), place)) {
    const label = verdict.labels.find((each) => each.key === key);
    if (label) return () => rate(verdict, label);
  }
  const tag = place ? desk.data.rubric.tags.find((each) => each.key === key) : null;
  return tag ? () => mark(tag) : null;
};

const pressed = (event) => {
  const target = event.composedPath()[0];
  const typing = target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
  if (Date.now() < desk.deafUntil) {
    // Until the sentence is over, however long it is.
    desk.deafUntil = Date.now() + DEAF;
    return event.stopPropagation();
  }
  if (typing) {
    if (target !== desk.nodes.area) return;
    // Keys that choose among the letters of an input method are its own.
    if (event.isComposing) return event.stopPropagation();
    if (event.key === "Escape" || (event.key === "Enter" && event.ctrlKey)) {
      event.preventDefault();
      leaveComment();
      target.blur();
    }
    event.stopPropagation();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (desk.help && event.key === "Escape") return showHelp(false);
  // What the help lies over is not labelled by accident.
  if (desk.help && event.key !== "?") return;
  // Arrows move along the app's own rows of buttons where one of these has the focus.
  const elsewhere = !event.composedPath().includes(desk.nodes.root) && target.closest?.("button, a, [role=radio], [role=tab], [role=menuitem]");
  if (elsewhere && event.key.startsWith("Arrow")) return;
  // Enter on a button that has the focus presses the button.
  if (event.key === "Enter" && target instanceof HTMLElement && /^(BUTTON|A|SUMMARY)$/.test(target.tagName)) {
    if (event.repeat) event.preventDefault();
    return;
  }
  const act = answer(event.key);
  if (!act || (desk.data.closed && act !== showHelp)) return;
  event.preventDefault();
  event.stopPropagation();
  // A key that is held down says nothing twice: it would skip what nobody has seen.
  if (!event.repeat) act();
};
