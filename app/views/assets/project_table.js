const draws = {
  words: (part) => text(part.text, `words ${part.tone}`),
  beside: (part) => text(part.text, "beside"),
  below: (part) => text(part.text, "below", "div"),
  tag: (part) => text(part.text, "tag"),
  door: (part) => h("span", { class: "door", title: part.hint || null }, follow(part.href, text(part.text))),
  label: (part) =>
    h(
      "span",
      { class: "label" },
      part.who && text(part.who, "who"),
      h("span", { class: `value ${part.tone}` }, h("span", { class: "glyph", "aria-hidden": "true" }, part.glyph), text(part.name)),
    ),
  ability: (part) => h("span", { class: "chip", vars: { "--chip": part.colour, "--on": part.ink } }, part.text),
  meter: (part) => h("span", { class: "meter", "aria-hidden": "true" }, h("span", { vars: { "--done": String(part.share) } })),
};

const classes = (column) => `${column.right ? "right num" : ""} ${column.wide ? "wide" : ""} ${column.tight ? "tight" : ""}`;

export default ({ data, parentElement }) => {
  const head = h(
    "tr",
    {},
    data.columns.map((column) => h("th", { scope: "col", class: classes(column), title: column.hint || null }, column.title)),
  );
  const row = (cells) =>
    h(
      "tr",
      {},
      cells.map((cell, index) =>
        h("td", { class: classes(data.columns[index]) }, cell.map((part) => draws[part.kind](part))),
      ),
    );
  draw(
    parentElement,
    data.title && h("h2", {}, data.title, data.note && text(data.note, "note")),
    data.rows.length
      ? h(
          "div",
          { class: "scroll" },
          h("table", { "aria-label": data.title }, h("thead", {}, head), h("tbody", {}, data.rows.map(row))),
        )
      : h("p", { class: "empty grey" }, data.empty),
  );
};
