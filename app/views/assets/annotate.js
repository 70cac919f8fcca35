// What the desk (annotate_desk.js) holds, drawn: evidence, the chain so far, the step at hand, its labels, progress.
// A press with the keyboard keeps the focus; one with the pointer gives it up, for Enter to mean "next" again. The
// second click of a double one says nothing: it would take back what the first one set, or skip what nobody has seen.
const press = (key, act, props, ...words) =>
  h(
    "button",
    {
      type: "button",
      "data-focus": `key-${key}`,
      onclick: (event) => {
        if (event.detail) event.currentTarget.blur();
        if (event.detail < 2 || walks.includes(act)) act();
      },
      ...props,
    },
    h("kbd", {}, key),
    " ",
    ...words,
  );

// What may be clicked as fast as one likes.
const walks = [next, back, undo];

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
  if (data.mode === "adjudicate") return "Decided. The list of disagreements has the next one.";
  if (data.busy) return "Nothing is free for you now: others hold what is left. Look again later.";
  return "All items are done. Thank you.";
};

const drawAll = () => {
  const of = item();
  const { nodes } = desk;
  const place = desk.cursor?.place ?? 0;
  nodes.root.classList.toggle("idle", !of);
  nodes.root.dataset.about = `${of?.id}/${place}`;
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
    part("help", "div", { role: "dialog", "aria-label": "Help", hidden: !desk.help }),
  );
  nodes.root.tabIndex = -1;
  nodes.live.textContent = desk.said;
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
  // Whoever is typing a comment keeps the field and what stands in it: it is sent again with the next letters.
  if (refused.length) isTyping() ? drawLabels() : drawAll();
};

const isTyping = () => Boolean(desk.nodes.area) && desk.nodes.root.getRootNode().activeElement === desk.nodes.area;

// The item that somebody was writing about is gone: what the letters on their way would do to another, they do not.
const loseComment = () => {
  if (!isTyping()) return;
  const { value, dataset } = desk.nodes.area;
  if (value) desk.remarks.push(`${nameOf(Number(dataset.place))}, comment: this item is not yours any more, and what you were writing may not be stored: ${value}`);
  desk.deafUntil = Date.now() + DEAF;
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
    loseComment();
    const wanted = desk.cursor ? null : data.items.find((each) => each.id === data.first);
    const first = wanted ?? data.items.find((each) => stateOf(each.id) === "held");
    const place = wanted && data.place !== null && places(wanted).includes(data.place) ? data.place : null;
    if (!desk.cursor) desk.undo = data.items.flatMap((each) => each.undo.map((step) => ({ id: each.id, ...step })));
    desk.cursor = first ? { id: first.id, place: place ?? firstMissing(first) ?? 0 } : { id: null, place: 0 };
    drawAll();
  } else if (anew) {
    drawAll();
  } else if (before !== JSON.stringify(data.items) && !isTyping()) {
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
