// One person's desk. What is pressed shows at once and is kept here until the server has stored it: a queue in memory
// and in the browser's own storage, sent again until each change is acknowledged by its id. So nothing is lost when the
// tab is closed, the connection breaks or the server starts anew, and nothing is stored twice. Several items lie ready,
// so that fast keys land on the item that is shown; where none lies ready, keys are not taken.
const RESEND = 2000;
const LONGEST_PAUSE = 60;
const SAVE_COMMENT = 800;
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
    seconds: new Map(),
    last: Date.now(),
    nodes: null,
  };
  // Whatever other visits of this person left behind is taken over; an id is stored once however often it comes.
  try {
    for (const key of Object.keys(localStorage).filter((each) => each.startsWith(`${STORE}:${name}:`))) {
      made.queue.push(...JSON.parse(localStorage.getItem(key)));
      localStorage.removeItem(key);
    }
  } catch {
    made.said = "This browser keeps nothing: do not close the tab before everything is saved.";
  }
  return made;
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
  if (typing) {
    if (target !== desk.nodes.area) return;
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
  // Enter on a button that has the focus presses the button.
  if (event.key === "Enter" && target instanceof HTMLElement && /^(BUTTON|A|SUMMARY)$/.test(target.tagName)) return;
  const act = answer(event.key);
  if (!act || desk.data.closed) return;
  event.preventDefault();
  event.stopPropagation();
  act();
};

const press = (key, act, props, ...words) => h("button", { type: "button", onclick: act, ...props }, h("kbd", {}, key), " ", ...words);

const chip = (ability) =>
  ability && h("span", { class: "chip", title: ability.name, vars: { "--chip": ability.colour, "--chip-ink": ability.ink } }, ability.short);

const labelChip = (label) => h("span", { class: `label ${label.tone}` }, h("span", { "aria-hidden": "true" }, label.glyph), " ", text(label.name));

const passage = (hit, id, fresh) =>
  h(
    "details",
    { open: desk.open ?? fresh },
    h("summary", {}, h("span", { class: "star", "aria-hidden": "true" }, hit.gold ? "★" : ""), hit.gold && h("span", { class: "sr" }, "gold evidence "), text(hit.title)),
    h("div", { class: "text" }, folded(hit.text, 1500, id)),
  );

const evidence = (of, place) => {
  const upTo = of.steps.filter((step) => !place || step.number <= place).reverse();
  return [
    h("h3", {}, "Evidence", h("span", { class: "note" }, place ? "found up to this step, newest first" : "all that was found")),
    upTo.map((step) =>
      h(
        "section",
        {},
        h("div", { class: "found" }, h("span", { class: "num" }, `step ${step.number}`), step.asked && h("span", { class: "grey" }, ` ${step.asked}`)),
        step.query && h("div", { class: "query grey" }, folded(step.query, 200, `q-${of.id}-${step.number}`)),
        step.passages.length ? step.passages.map((hit, index) => passage(hit, `p-${of.id}-${step.number}-${index}`, step.number === place)) : h("div", { class: "grey" }, "nothing new"),
      ),
    ),
  ];
};

const line = (step, id) =>
  step.rationale.length > 900
    ? folded(step.rationale, 900, id)
    : h("span", { class: "data", dir: "auto" }, step.segments.map((piece) => h("span", { class: piece.tone, title: piece.hint || null }, piece.text)));

const sofar = (of, place) =>
  of.steps
    .filter((step) => !place || step.number < place)
    .map((step) => h("li", {}, h("span", { class: "num grey" }, `${step.number} `), chip(step.ability), " ", line(step, `s-${of.id}-${step.number}`), " ", given(of, step.number)));

// What this person has set at a place, in small.
const given = (of, number) =>
  h(
    "span",
    { class: "given" },
    verdictsAt(number).map((verdict) => {
      const label = verdict.labels.find((each) => each.value === valueOf(of.id, number, verdict.name));
      return label && labelChip(label);
    }),
    (valueOf(of.id, number, "tags") ?? []).length > 0 && h("span", { class: "grey" }, `${valueOf(of.id, number, "tags").length} tag${valueOf(of.id, number, "tags").length > 1 ? "s" : ""}`),
    isSet(valueOf(of.id, number, "comment")) && h("span", { class: "grey" }, "comment"),
  );

const now = (of, place) => {
  const step = of.steps.find((each) => each.number === place);
  return step
    ? [h("div", { class: "what" }, h("span", { class: "num" }, `Step ${place} of ${of.steps.length}`), chip(step.ability)), h("div", { class: "line" }, line(step, `n-${of.id}-${place}`))]
    : [h("div", { class: "what" }, "The whole chain"), h("div", { class: "line" }, h("span", { class: "grey" }, "answer: "), of.answer === null ? h("span", { class: "grey" }, "none") : folded(of.answer, 600, `a-${of.id}`))];
};

const others = (of, place) => {
  const told = of.others.filter((each) => each.number === place);
  return (
    told.length > 0 &&
    h(
      "div",
      { class: "others" },
      told.map((each) =>
        h("div", {}, text(each.who, "grey"), " ", each.labels.map(labelChip), each.tags.map((tag) => text(tag, "tag")), each.comment && h("div", {}, folded(each.comment, 220, `o-${of.id}-${place}-${each.who}`))),
      ),
    )
  );
};

const controls = (of, place) => {
  const marked = valueOf(of.id, place, "tags") ?? [];
  return [
    askedAt(of, place).map((verdict) =>
      h(
        "div",
        { class: "verdict", role: "group", "aria-label": verdict.asks },
        h("div", { class: "asks" }, text(verdict.asks)),
        h(
          "div",
          { class: "choices" },
          verdict.labels.map((label) =>
            press(label.key, () => rate(verdict, label), { class: `choice ${label.tone}`, "aria-pressed": String(valueOf(of.id, place, verdict.name) === label.value), "data-focus": `l-${verdict.name}-${label.key}` }, h("span", { class: "glyph", "aria-hidden": "true" }, label.glyph), text(label.name)),
          ),
        ),
      ),
    ),
    !askedAt(of, place).length && h("div", { class: "verdict grey" }, `The rubric asks nothing of ${place ? "a step" : "the whole chain"}: go on.`),
    place > 0 &&
      desk.data.rubric.tags.length > 0 &&
      h(
        "div",
        { class: "tags", role: "group", "aria-label": "Errors" },
        desk.data.rubric.tags.map((tag) =>
          press(tag.key, () => mark(tag), { class: "choice tag", title: tag.means, "aria-pressed": String(marked.includes(tag.name)), "data-focus": `t-${tag.key}` }, text(tag.title)),
        ),
      ),
    others(of, place),
  ];
};

const side = (of) => {
  const { progress } = desk.data;
  return [
    h("div", { class: "meter", role: "img", "aria-label": progress.words, vars: { "--done": String(progress.share) } }, h("span", {})),
    h("div", { class: "num" }, progress.words),
    progress.pace && h("div", { class: "grey num" }, progress.pace),
    of &&
      h(
        "ol",
        { class: "places", "aria-label": "Places of this item" },
        places(of).map((number) =>
          h(
            "li",
            {},
            h(
              "button",
              { type: "button", "aria-current": String(number === desk.cursor.place), "data-focus": `place-${number}`, onclick: () => go(of.id, number) },
              h("span", { class: "num" }, number ? `step ${number}` : "whole chain"),
              given(of, number),
            ),
          ),
        ),
      ),
    of && h("div", { class: "grey" }, { submitted: "submitted; changes are kept in the history", skipped: "skipped", held: `${desk.data.items.filter((each) => stateOf(each.id) === "held").length} at hand` }[stateOf(of.id)]),
    h(
      "div",
      { class: "actions" },
      press("↵", next, { "aria-label": "Next" }, "next"),
      press("k", back, { "aria-label": "Back" }, "back"),
      press("u", undo, { "aria-label": "Undo" }, "undo"),
      press("c", () => desk.nodes.area?.focus(), { "aria-label": "Comment" }, "comment"),
      press("s", skip, { "aria-label": "Skip the item" }, "skip"),
      press("p", fold, { "aria-label": "Fold or unfold passages" }, "passages"),
      press("?", () => showHelp(), { "aria-label": "Help" }, "help"),
    ),
    of?.revealed && revealed(of),
  ];
};

const revealed = (of) =>
  h(
    "div",
    { class: "revealed" },
    h("h3", {}, desk.data.blind ? "What was hidden" : "About this chain"),
    of.revealed.facts.map((fact) => h("div", {}, h("span", { class: "grey" }, `${fact.name} `), folded(fact.value, 160, `f-${of.id}-${fact.name}`))),
    of.revealed.judged.map((vote) => h("div", {}, h("span", { class: "grey" }, "judge "), text(vote))),
  );

const comment = (of, place) => {
  const area = h("textarea", {
    rows: "2",
    maxlength: "20000",
    dir: "auto",
    "aria-label": `Comment on ${nameOf(place)}`,
    placeholder: `comment on ${nameOf(place)} (c)`,
    "data-item": String(of.id),
    "data-place": String(place),
    oninput: () => {
      clearTimeout(desk.typing);
      desk.typing = setTimeout(saveComment, SAVE_COMMENT);
    },
    onblur: leaveComment,
  });
  area.value = valueOf(of.id, place, "comment") ?? "";
  return area;
};

const drawLabels = () => {
  const of = item();
  const { nodes } = desk;
  const focus = nodes.root.getRootNode().activeElement?.dataset?.focus;
  nodes.controls.replaceChildren(...(of?.available ? controls(of, desk.cursor.place).flat(9).filter(Boolean) : []));
  nodes.side.replaceChildren(...side(of).flat(9).filter(Boolean));
  drawStatus();
  if (focus) nodes.root.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
};

const drawStatus = () => {
  const waiting = desk.queue.length;
  desk.nodes.status.textContent = waiting ? `saving ${waiting} change${waiting === 1 ? "" : "s"}…` : "everything is saved";
  desk.nodes.status.className = waiting ? "warn" : "grey";
  desk.nodes.remarks.replaceChildren(...desk.remarks.map((remark) => h("div", { class: "bad" }, text(remark))));
};

const rest = () => {
  const { data } = desk;
  if (data.closed) return "This project is closed: nothing more is recorded.";
  if (data.left) return "Loading the next item…";
  return data.mode === "adjudicate" ? "Decided. The list of disagreements has the next one." : "All items are done. Thank you.";
};

const drawAll = () => {
  const of = item();
  const { nodes } = desk;
  const place = desk.cursor?.place ?? 0;
  nodes.root.classList.toggle("idle", !of);
  nodes.question.replaceChildren(of ? folded(of.question, 400, `question-${of.id}`) : h("span", { class: "grey" }, rest()));
  nodes.evidence.replaceChildren(...(of ? evidence(of, place).flat(9).filter(Boolean) : []));
  nodes.sofar.replaceChildren(...(of ? sofar(of, place) : []));
  nodes.now.replaceChildren(...(of ? (of.available ? now(of, place) : [h("div", { class: "warn" }, "The run of this chain is not stored here any more: bring it back with steper ingest, or skip it with s.")]) : []));
  nodes.area = of?.available ? comment(of, place) : null;
  nodes.comment.replaceChildren(...(nodes.area ? [nodes.area] : []));
  nodes.evidence.scrollTop = 0;
  nodes.sofar.scrollTop = nodes.sofar.scrollHeight;
  drawLabels();
};

const frame = (parent) => {
  const nodes = {};
  const part = (name, tag = "div", props = {}) => (nodes[name] = h(tag, { class: name, ...props }));
  nodes.root = draw(
    parent,
    h("div", { class: "bar" }, part("question", "h2"), part("status")),
    part("remarks"),
    h(
      "div",
      { class: "work" },
      part("evidence", "section", { tabindex: "0", "aria-label": "Evidence" }),
      h("section", { class: "middle", "aria-label": "Label" }, part("sofar", "ol", { tabindex: "0", "aria-label": "Chain so far" }), part("now"), part("controls"), part("live", "div", { "aria-live": "polite" }), part("comment")),
      part("side", "section", { "aria-label": "Progress" }),
    ),
    part("help", "div", { role: "dialog", "aria-label": "Help", hidden: true }),
  );
  nodes.root.tabIndex = -1;
  return nodes;
};

const help = () => {
  const { rubric } = desk.data;
  const keys = [
    ...rubric.steps.concat(rubric.chain).flatMap((verdict) => verdict.labels.map((label) => [label.key, `${verdict.title}: ${label.name}`])),
    ...rubric.tags.map((tag) => [tag.key, `${tag.title}: ${tag.means}`]),
    ["↵ j →", "next place; past the last one, submit and go to the next item"],
    ["k ←", "back, also into the item before"],
    ["the same again", "takes a rating or an error back"],
    ["u", "undo"],
    ["c", "comment; Escape or Ctrl+Enter leaves it"],
    ["s", "skip the item"],
    ["p", "fold or unfold passages"],
    ["?", "this help"],
  ];
  return [
    h("button", { type: "button", class: "close", onclick: () => showHelp(false) }, "close (Escape)"),
    h("h3", {}, "What to do"),
    h("p", {}, text(rubric.instructions)),
    h("dl", {}, keys.map(([key, words]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text(words))])),
  ];
};

const receive = (data) => {
  const done = new Set([...data.stored, ...Object.keys(data.refused)]);
  const refused = desk.queue.filter((each) => data.refused[each.uid]);
  desk.queue = desk.queue.filter((each) => !done.has(each.uid));
  desk.sent = 0;
  desk.data = data;
  desk.remarks.push(...refused.map((each) => `${nameOf(each.number)}, ${each.field}: not stored, ${data.refused[each.uid]}`));
  keep();
  if (refused.length) return drawAll();
  return undefined;
};

export default ({ data, parentElement, setStateValue }) => {
  if (!desk || desk.name !== data.name) {
    desk = openDesk(data.name);
  }
  desk.setState = (queue) => setStateValue("queue", queue);
  // The app may put the desk up anew at any moment; whoever has moved on meanwhile stays where they are.
  const anew = !desk.nodes || desk.nodes.root.parentNode !== parentElement || !desk.nodes.root.isConnected;
  if (anew) {
    parentElement.querySelector(".root")?.remove();
    desk.data = data;
    desk.nodes = frame(parentElement);
    desk.nodes.help.replaceChildren(...help().flat(9));
  }
  if (desk.asked !== data.asked) {
    desk.asked = data.asked;
    desk.cursor = null;
    // What led here (a link of the list) may keep the focus, and Enter would be its key.
    desk.nodes.root.focus({ preventScroll: true });
  }
  const before = JSON.stringify(desk.data?.items);
  receive(data);
  const shown = item();
  if (!shown) {
    const wanted = desk.cursor ? null : data.items.find((each) => each.id === data.first);
    const first = wanted ?? data.items.find((each) => stateOf(each.id) === "held");
    const place = wanted && data.place !== null && places(wanted).includes(data.place) ? data.place : null;
    if (!desk.cursor) desk.undo = data.items.flatMap((each) => each.undo.map((step) => ({ id: each.id, ...step })));
    desk.cursor = first ? { id: first.id, place: place ?? firstMissing(first) ?? 0 } : { id: null, place: 0 };
    drawAll();
  } else if (anew) {
    drawAll();
  } else if (before !== JSON.stringify(data.items) && desk.nodes.root.getRootNode().activeElement !== desk.nodes.area) {
    drawLabels();
  } else drawStatus();
  send();

  // The app calls this again at every update without undoing the last call.
  if (listener) document.removeEventListener("keydown", listener, true);
  clearInterval(timer);
  listener = pressed;
  document.addEventListener("keydown", listener, true);
  timer = setInterval(send, RESEND / 2);
  return () => {
    document.removeEventListener("keydown", listener, true);
    clearInterval(timer);
    listener = null;
  };
};
