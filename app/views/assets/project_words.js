const GLYPHS = { bad: "✗", warn: "!", good: "✓" };

export default ({ data, parentElement }) => {
  draw(
    parentElement,
    h(
      "div",
      { role: "status" },
      data.lines.map((line) =>
        h(
          "p",
          { class: line.tone },
          GLYPHS[line.tone] && h("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[line.tone]),
          text(line.text),
        ),
      ),
    ),
  );
};
