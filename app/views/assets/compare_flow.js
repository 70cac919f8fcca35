export default ({ data, parentElement }) => {
  const part = (item) => {
    const shown = [h("span", { class: "count num" }, item.count.toLocaleString("en")), h("span", { class: "label" }, h("span", { "aria-hidden": "true" }, item.glyph), ` ${item.label}`)];
    return h(
      "li",
      { class: `part ${item.name}`, vars: { "--share": String(item.count) } },
      item.link ? follow(item.link, shown) : h("span", { class: "none" }, shown),
    );
  };

  const strip = (row) =>
    h(
      "section",
      { class: "strip", "aria-label": `Run ${row.run.letter} against run ${data.reference.letter}` },
      h("div", { class: "head" }, letter(data.reference), "→", letter(row.run), text(row.run.name, "who"), text(row.said, "grey num")),
      row.parts.length > 0 && [
        h(
          "div",
          { class: "bar", "aria-hidden": "true" },
          row.parts.map((item) => item.count > 0 && h("span", { class: item.name, vars: { "--share": String(item.count) } })),
        ),
        h("ul", { class: "parts" }, row.parts.map(part)),
      ],
    );

  draw(parentElement, h("h2", {}, data.title, text(data.note, "note")), ...data.strips.map(strip));
};
