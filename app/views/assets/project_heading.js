export default ({ data, parentElement, setTriggerValue }) => {
  const link = (kind, label, value = null) =>
    h(
      "button",
      { class: "more", type: "button", "data-focus": kind, onclick: () => setTriggerValue("event", { kind, value }) },
      label,
    );
  const root = draw(
    parentElement,
    h(
      "div",
      { class: "heading" },
      link("projects", "‹ All projects"),
      h("h2", {}, text(data.name)),
      data.closed && h("span", { class: "closed" }, "closed"),
      data.person && h("span", { class: "person" }, h("span", { class: "grey" }, "as "), text(data.person), link("person", "change")),
      data.deciding &&
        h(
          "span",
          { class: "deciding" },
          link("list", "back to the list"),
          link("next", "next open one ›", data.item),
          link("history", "history of this item"),
        ),
    ),
  );
  root.dataset.about = data.item;
};
