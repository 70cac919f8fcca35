const dashes = { A: "none", B: "7 4", C: "2 3", D: "8 3 2 3" };

// The line as the charts draw it, so that the table is their legend too.
const swatch = (run) => {
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const svg = make("svg", { width: 34, height: 8, "aria-hidden": "true", class: "swatch" });
  svg.append(make("line", { x1: 0, x2: 34, y1: 4, y2: 4, stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": dashes[run.letter] }));
  return svg;
};

export default ({ data, parentElement }) => {
  draw(
    parentElement,
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { "aria-label": "Training runs" },
        h(
          "thead",
          {},
          h("tr", {}, h("th", { scope: "col" }, "Run"), data.columns.map((label) => h("th", { scope: "col", title: data.hint }, label))),
        ),
        h(
          "tbody",
          {},
          data.rows.map((row) =>
            h(
              "tr",
              {},
              h(
                "td",
                {},
                h("div", { class: "who" }, letter(row), swatch(row), text(row.name)),
                h("div", { class: "sub grey" }, text(row.sub), row.note && ` · ${row.note}`),
              ),
              row.cells.map((cell) => h("td", { class: "num" }, cell)),
            ),
          ),
        ),
      ),
    ),
  );
};
