const opened = new Set();

const difference = (item) =>
  h(
    "div",
    { class: `difference ${item.tone} ${item.mark ? "holds" : ""}` },
    item.mark && h("span", { class: "mark", "aria-hidden": "true" }, item.mark),
    item.text,
    item.said && h("span", { class: "sr" }, ` ${item.said} `),
    item.side && h("span", { class: "side" }, item.side),
    item.note && h("div", { class: "side" }, item.note),
  );

export default ({ data, parentElement, setTriggerValue }) => {
  const send = (kind, value) => setTriggerValue("event", { kind, value });
  const id = (row) => `${data.title}-${row.key}`;

  const head = (run) =>
    h(
      "th",
      { scope: "col" },
      h("span", { class: "who" }, letter(run), text(run.name)),
      run.reference
        ? h("span", { class: "reference" }, "reference")
        : h(
            "button",
            {
              class: "more",
              type: "button",
              "data-focus": `reference-${data.title}-${run.token}`,
              "aria-label": `Make run ${run.letter} the reference`,
              onclick: () => send("reference", run.token),
            },
            "make reference",
          ),
    );

  const cell = (item) =>
    h(
      "td",
      { class: "num", title: item.title || null },
      h(
        "div",
        {},
        item.link
          ? follow(item.link, item.main)
          : text(item.main, item.main === "–" ? "grey" : ""),
        item.side && h("span", { class: "side" }, item.side),
      ),
      item.difference && difference(item.difference),
    );

  const label = (row) => {
    const name = [
      row.chip
        ? h("span", { class: "chip", vars: { "--chip": row.chip.colour, "--on": row.chip.ink } }, row.label)
        : text(row.label),
      row.focus && h("span", { class: "focus" }, "in focus"),
    ];
    return h(
      "th",
      { scope: "row" },
      row.details
        ? h(
            "button",
            {
              class: "name",
              type: "button",
              "aria-expanded": String(opened.has(id(row))),
              "data-focus": `row-${id(row)}`,
              onclick: () => {
                if (!opened.delete(id(row))) opened.add(id(row));
                paint();
              },
            },
            h("span", { class: "arrow", "aria-hidden": "true" }, opened.has(id(row)) ? "▾" : "▸"),
            name,
          )
        : h("span", { class: "name" }, name),
      row.hint && h("div", { class: "hint" }, row.hint),
    );
  };

  const details = (row) =>
    h(
      "tr",
      { class: "details" },
      h(
        "td",
        { colspan: data.runs.length + 1 },
        h(
          "div",
          { class: "runs" },
          row.details.map((run) =>
            h("div", { class: "run" }, h("span", { class: "who" }, letter(run), text(run.name)), run.lines.map((line) => text(line, "grey", "div"))),
          ),
        ),
        row.score &&
          !row.focus &&
          h(
            "button",
            { class: "more", type: "button", "data-focus": `focus-${id(row)}`, onclick: () => send("score", row.score) },
            "put this score in focus",
          ),
      ),
    );

  const body = (row) =>
    row.heading
      ? h(
          "tr",
          { class: "heading" },
          h("th", { scope: "rowgroup", colspan: data.runs.length + 1 }, text(row.heading), row.hint && h("span", { class: "hint" }, row.hint)),
        )
      : [
          h("tr", { class: row.focus ? "focused" : null, "data-row": row.key }, label(row), row.cells.map(cell)),
          row.details && opened.has(id(row)) && details(row),
        ];

  const marks = data.rows.some((row) => row.cells?.some((item) => item.difference?.mark));
  const paint = () =>
    draw(
      parentElement,
      h(
        "h2",
        {},
        data.title,
        data.note && text(data.note, "note"),
        data.action &&
          h(
            "button",
            { class: "more", type: "button", "data-focus": `action-${data.title}`, onclick: () => send(data.action.kind, null) },
            data.action.label,
          ),
      ),
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": data.title },
        h(
          "table",
          { class: data.runs.length > 4 ? "many" : null, vars: { "--runs": String(data.runs.length) }, "aria-label": data.title },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, data.first), data.runs.map(head))),
          h("tbody", {}, data.rows.map(body)),
        ),
      ),
      h(
        "div",
        { class: "foot grey" },
        data.foot.filter(Boolean).map((line) => text(line, "", "div")),
        marks &&
          h("div", {}, "▲ better and ▼ worse than A (◆ different) after Holm's correction over this table; grey is not shown to differ"),
      ),
    );
  paint();
};
