const cell = (item) => h("td", { class: "num", title: item.title || null }, text(item.main, item.main === "–" ? "grey" : ""), item.side && h("span", { class: "side" }, item.side));

const chip = (item) => h("span", { class: "chip", vars: { "--chip": item.colour, "--chip-ink": item.ink } }, item.short);

const table = (data, send) =>
  h(
    "table",
    {},
    h("thead", {}, h("tr", {}, data.columns.map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      data.rows.map((row) =>
        h(
          "tr",
          {},
          h(
            "th",
            { scope: "row", class: row.chip ? "inner" : "" },
            row.chip && chip(row.chip),
            row.pair
              ? h("button", { type: "button", class: "door", "data-focus": `pair-${row.pair}`, title: "Show these two label by label", onclick: () => send("pair", row.pair) }, text(row.label || "label by label"))
              : text(row.label),
          ),
          row.cells.map(cell),
        ),
      ),
    ),
  );

const confusion = (data, send) =>
  h(
    "table",
    { class: "confusion" },
    h("caption", {}, text(data.first), " in rows, ", text(data.second), " in columns; a number opens its steps"),
    h("thead", {}, h("tr", {}, h("td", {}), data.labels.map((name) => h("th", { scope: "col" }, text(name))))),
    h(
      "tbody",
      {},
      data.cells.map((line, row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, text(data.labels[row])),
          line.map((item, column) =>
            h(
              "td",
              { class: `num ${item.same ? "same" : ""} ${item.chosen ? "chosen" : ""}`, vars: { "--share": String(item.share) } },
              item.count
                ? h("button", { type: "button", class: "door", "data-focus": `cell-${row}-${column}`, "aria-label": `${item.count}: ${data.labels[row]}, ${data.labels[column]}`, onclick: () => send("cell", [data.values[row], data.values[column]]) }, String(item.count))
                : h("span", { class: "grey" }, "0"),
              item.side && h("div", { class: "side" }, item.side),
            ),
          ),
        ),
      ),
    ),
  );

export default ({ data, parentElement, setTriggerValue }) => {
  const send = (kind, value) => setTriggerValue("event", { kind, value });
  const parts = [
    h("h2", {}, data.title, data.note && h("span", { class: "note" }, data.note)),
    data.kind === "sentences" ? h("ul", { class: "said" }, data.sentences.map((each) => h("li", {}, text(each)))) : data.kind === "confusion" ? (data.labels.length ? confusion(data, send) : h("p", { class: "grey" }, "No step or chain has a label of both.")) : table(data, send),
    (data.foot ?? []).map((line) => h("p", { class: "foot" }, text(line))),
    (data.links ?? []).length > 0 && h("ul", { class: "links" }, data.links.map((link) => h("li", {}, follow(link.href, link.text), link.step && h("span", { class: "grey" }, ` ${link.step}`)))),
  ];
  draw(parentElement, ...parts.flat().filter(Boolean));
};
