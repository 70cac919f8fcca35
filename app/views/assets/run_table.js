// A long name breaks after its dots and underscores rather than within a word.
const breakable = (value) => value.split(/(?<=[._])/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));

const sheet = (group) =>
  h(
    "div",
    { class: "sheet" },
    h("h3", {}, group.title),
    h(
      "dl",
      { class: group.rows.some((row) => row.mono && row.label.includes(".")) ? "mono-labels" : null },
      group.rows.map((row) => [
        h("dt", { class: `data grey ${row.mono ? "mono" : ""}`, dir: "auto" }, breakable(row.label)),
        h(
          "dd",
          { class: "num" },
          folded(row.value, 400, `sheet-${group.title}-${row.label}`, row.mono ? "mono" : ""),
          row.side && h("span", { class: "side" }, row.side),
        ),
      ]),
    ),
  );

const command = (row) =>
  h(
    "div",
    { class: "command" },
    h("span", { class: "grey" }, "Resume with"),
    text(row.problem.command, "mono", "code"),
    navigator.clipboard &&
      h(
        "button",
        {
          class: "more",
          type: "button",
          onclick: (event) => {
            navigator.clipboard.writeText(row.problem.command).then(() => (event.target.textContent = "copied"));
          },
        },
        "copy",
      ),
  );

const header = (column, send) => {
  const arrow = { ascending: " ↑", descending: " ↓" }[column.sorted] ?? "";
  const label = column.sort
    ? h(
        "button",
        { type: "button", title: column.hint, "data-focus": `sort-${column.key}`, onclick: () => send("sort", column.key) },
        `${column.label}${arrow}`,
      )
    : h("span", { title: column.hint }, column.label);
  return h(
    "th",
    { scope: "col", class: `${column.right ? "right" : ""} ${column.wide ? "wide" : ""}`, "aria-sort": column.sorted || null },
    label,
  );
};

const cell = (item, column) =>
  h(
    "td",
    { class: `${column.right ? "right num" : ""} ${column.wide ? "wide" : ""}` },
    item.link ? follow(item.link, item.main) : text(item.main, item.main === "–" ? "grey" : ""),
    item.side && h("span", { class: "side interval" }, item.side),
  );

// Ticks that no drawing has shown yet: one that was under way when the reader ticked does not undo them. They are sent
// again, for an event right after may have kept the app from them; what is not shown after a while was not taken.
const newTicks = new Map();
const patience = 10000;
const pause = 1500;
let resending = null;

const withNewTicks = (drawn) => {
  for (const [token, { on, since }] of newTicks)
    if (drawn.includes(token) === on || performance.now() - since > patience) newTicks.delete(token);
  const added = [...newTicks].filter(([, { on }]) => on).map(([token]) => token);
  return [...drawn.filter((token) => !newTicks.has(token)), ...added];
};

export default ({ data, parentElement, setTriggerValue }) => {
  const send = (kind, value) => setTriggerValue("event", { kind, value });
  let ticked = withNewTicks(data.ticked);
  clearTimeout(resending);
  if (newTicks.size) resending = setTimeout(() => parentElement.isConnected && send("tick", ticked), pause);

  const sendTicks = (tokens, on) => {
    for (const token of tokens) newTicks.set(token, { on, since: performance.now() });
    ticked = ticked.filter((token) => !tokens.includes(token)).concat(on ? tokens : []);
    send("tick", ticked);
    // They lead to the runs of the drawing.
    const doors = parentElement.querySelector(".compare .go");
    if (doors) doors.inert = true;
  };

  const full = ticked.length >= data.most;

  const tick = (row) => {
    if (!row.tickable) return h("td", { class: "tick" });
    const run = data.picked.find((item) => item.token === row.token);
    const box = h("input", {
      type: "checkbox",
      "aria-label": `Compare ${row.name}`,
      "data-focus": `tick-${row.token}`,
      disabled: full && !ticked.includes(row.token),
      title: full && !ticked.includes(row.token) ? `Up to ${data.most} runs are compared` : "Compare",
      onchange: (event) => {
        if (event.target.checked && ticked.length >= data.most) event.target.checked = false;
        else sendTicks([row.token], event.target.checked);
      },
    });
    box.checked = ticked.includes(row.token);
    return h("td", { class: "tick" }, h("label", {}, box, run && letter(run)));
  };

  const name = (row) =>
    h(
      "td",
      {},
      row.token
        ? h(
            "button",
            {
              class: "name",
              type: "button",
              "aria-expanded": String(Boolean(row.details)),
              "data-focus": `open-${row.token}`,
              onclick: () => send("open", row.details ? "" : row.token),
            },
            h("span", { class: "arrow", "aria-hidden": "true" }, row.details ? "▾" : "▸"),
            text(row.name),
          )
        : h("div", { class: "name" }, h("span", { class: "arrow" }), text(row.name)),
      h(
        "div",
        { class: "sub" },
        text(row.sub),
        row.subNarrow && h("span", { class: "narrow" }, row.sub && " · ", text(row.subNarrow)),
      ),
      row.status && h("div", { class: `badge ${row.status.tone}` }, `${row.status.glyph} ${row.status.word}`),
    );

  const body = (row, columns) => {
    const width = columns.length + 2;
    const cells = row.cells.map((item, index) => cell(item, columns[index]));
    return h(
      "tbody",
      { class: `run ${row.token ? "" : "seeds"} ${row.details ? "open" : ""}`, "data-run": row.name },
      h("tr", { class: "main" }, tick(row), name(row), cells),
      row.problem &&
        h(
          "tr",
          { class: "problem" },
          h("td", {}),
          h(
            "td",
            { colspan: width - 1 },
            h("div", { class: "why" }, folded(row.problem.why, 240, `why-${row.token}`, row.status?.tone ?? "")),
            row.problem.command && command(row),
          ),
        ),
      row.details &&
        h(
          "tr",
          { class: "details" },
          h("td", { colspan: width }, h("div", { class: "sheets" }, row.details.map(sheet))),
        ),
    );
  };

  const compare =
    data.picked.length > 0 &&
    h(
      "div",
      { class: "compare", role: "region", "aria-label": "Runs to compare" },
      data.picked.map((run) => h("span", { class: "picked" }, letter(run), text(run.name))),
      h("button", { class: "more", type: "button", onclick: () => sendTicks(ticked, false) }, "clear"),
      h(
        "span",
        { class: "go" },
        data.doors.map((door) => follow(door.href, door.label)),
      ),
    );

  const section = (part) => [
    h("h2", {}, part.title, h("span", { class: "grey num" }, part.note)),
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { "aria-label": part.title },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, h("span", { class: "sr" }, "Compare")),
            part.columns.map((column) => header(column, send)),
          ),
        ),
        part.rows.map((row) => body(row, part.columns.slice(1))),
      ),
    ),
  ];

  draw(parentElement, ...[compare || []].flat(), ...data.sections.flatMap(section));
};
