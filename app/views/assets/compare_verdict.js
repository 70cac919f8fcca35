const SHOWN = 3;
let all = false;

export default ({ data, parentElement }) => {
  const paint = () => {
    const sentences = all ? data.sentences : data.sentences.slice(0, SHOWN);
    draw(
      parentElement,
      h(
        "div",
        { class: `verdict ${data.sentences.length > 2 ? "several" : ""}`, role: "status" },
        sentences.map((sentence) => text(sentence, "sentence", "p")),
        data.sentences.length > SHOWN &&
          h(
            "button",
            {
              class: "more",
              type: "button",
              "aria-expanded": String(all),
              "data-focus": "verdicts",
              onclick: () => {
                all = !all;
                paint();
              },
            },
            all ? "show fewer" : `${data.sentences.length - SHOWN} more runs`,
          ),
      ),
      h("div", { class: "seeds" }, data.seeds.map((sentence) => text(sentence, "", "p"))),
      h(
        "ul",
        { class: "warnings", "aria-label": "What makes the comparison less than a fair one" },
        data.warnings.map((warning, place) =>
          h("li", {}, h("span", { class: "glyph warn", "aria-hidden": "true" }, "!"), h("span", {}, folded(warning, 220, `warning-${place}`))),
        ),
      ),
    );
  };
  paint();
};
