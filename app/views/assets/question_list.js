// The cursor lives here, so that keys pressed faster than the server answers move it all the same: every event carries
// the id it means, and an answer to an older event does not move the cursor back.
let listener = null;
let pending = null;
const PATIENCE = 3000;

const typing = (event) => {
  const target = event.composedPath()[0];
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
};

export default ({ data, parentElement, setTriggerValue }) => {
  const send = (kind, value) => setTriggerValue("event", { kind, value });
  const ids = data.rows.map((row) => row.id);
  if (pending && (pending.id === data.active || Date.now() - pending.at > PATIENCE)) pending = null;
  let cursor = pending && ids.includes(pending.id) ? pending.id : data.active;
  let turning = false;
  let { gold } = data;

  const row = (item) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          "aria-current": String(item.id === cursor),
          "data-focus": `question-${item.id}`,
          "data-id": item.id,
          onclick: () => open(item.id),
        },
        h(
          "span",
          { class: "marks" },
          item.marks.map((mark) =>
            h("span", { class: `mark ${mark.tone}`, title: mark.word }, mark.glyph, h("span", { class: "sr" }, `${mark.run}${mark.word} `)),
          ),
        ),
        h("span", { class: "what" }, text(item.text), h("span", { class: "grey" }, text(item.meta))),
      ),
    );

  const root = draw(
    parentElement,
    h(
      "nav",
      { class: "list", "aria-label": "Questions" },
      h(
        "div",
        { class: "head" },
        h("span", { class: "marks" }, data.runs.map(letter)),
        h("span", { class: "grey num" }, data.range),
      ),
      ids.length
        ? h("ol", {}, data.rows.map(row))
        : h("div", { class: "none grey" }, "No question matches these filters."),
    ),
    h(
      "div",
      { class: "keys" },
      [
        [["j", "k"], "question"],
        [["[", "]"], "run"],
        [["g"], data.gold ? "hide gold" : "show gold"],
        [["/"], "search"],
      ].map(([keys, what]) => h("span", {}, keys.map((key) => [h("kbd", {}, key), " "]), what)),
    ),
  );

  const reveal = () =>
    root.querySelector('li button[aria-current="true"]')?.closest("li").scrollIntoView({ block: "nearest" });
  const open = (id) => {
    cursor = id;
    pending = { id, at: Date.now() };
    for (const button of root.querySelectorAll("li button")) {
      button.setAttribute("aria-current", String(button.dataset.id === String(id)));
    }
    reveal();
    send("open", id);
  };
  const step = (direction) => {
    const index = ids.indexOf(cursor);
    const next = index < 0 ? 0 : index + direction;
    if (next >= 0 && next < ids.length) return open(ids[next]);
    const page = data.page + direction;
    if (turning || page < 1 || page > data.pages) return undefined;
    turning = true;
    pending = null;
    setTimeout(() => (turning = false), PATIENCE);
    return send("turn", direction);
  };
  const actions = {
    j: () => step(1),
    k: () => step(-1),
    "[": () => send("run", { by: -1, question: cursor }),
    "]": () => send("run", { by: 1, question: cursor }),
    g: () => send("gold", (gold = !gold)),
    "/": () => document.querySelector(`input[aria-label="${data.search}"]`)?.focus(),
  };
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || !actions[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  };

  // The app calls this again at every update without undoing the last call.
  if (listener) document.removeEventListener("keydown", listener, true);
  listener = pressed;
  document.addEventListener("keydown", pressed, true);
  if (cursor === data.active) reveal();
  return () => {
    document.removeEventListener("keydown", listener, true);
    listener = null;
  };
};
