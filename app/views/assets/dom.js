// Everything is built with text nodes: no text of a model or of data is ever parsed as HTML.
const h = (tag, props = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, item] of Object.entries(value)) node.style.setProperty(key, item);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

const text = (value, classes = "", tag = "span") => h(tag, { class: `data ${classes}`, dir: "auto" }, value);

// Unfolded texts and opened parts stay so when the page is drawn again.
const unfolded = new Set();

const keptOpen = (id) => ({
  open: unfolded.has(id),
  ontoggle: (event) => (event.target.open ? unfolded.add(id) : unfolded.delete(id)),
});

const folded = (value, limit, id, classes = "") => {
  if (value.length <= limit * 1.2) return text(value, classes);
  const body = text("", classes);
  const more = h("button", { class: "more", type: "button", "data-focus": `fold-${id}` });
  const show = () => {
    const open = unfolded.has(id);
    body.textContent = open ? value : `${value.slice(0, limit).replace(/[\uD800-\uDBFF]$/, "")}…`;
    more.textContent = open ? "show less" : `show all ${value.length.toLocaleString("en")} characters`;
    more.setAttribute("aria-expanded", String(open));
  };
  more.addEventListener("click", () => {
    if (!unfolded.delete(id)) unfolded.add(id);
    show();
  });
  show();
  return h("span", {}, body, more);
};

const letter = (run) => h("span", { class: "letter", vars: { "--run": run.colour }, "aria-hidden": "true" }, run.letter);

// A link that the app follows without loading itself anew, as it follows the browser's own back and forward: one entry
// of the history, whatever page it leads to. A click with a modifier opens it as any other link.
const follow = (href, ...children) =>
  h(
    "a",
    {
      href,
      "data-focus": `to-${href}`,
      onclick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        if (event.currentTarget.href !== location.href) history.pushState({}, "", href);
        window.dispatchEvent(new PopStateEvent("popstate"));
      },
    },
    ...children,
  );

// A drawing that comes while a button is pressed puts another one in its place, and the browser gives the click to
// neither: the new one takes it, if it means the same thing (`data-about`).
const carryPresses = (root) => {
  const plain = (event) => event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  let pressed = null;
  root.addEventListener("mousedown", (event) => {
    const button = plain(event) && event.target.closest?.("[data-focus]");
    pressed = button ? { button, about: root.dataset.about } : null;
  });
  root.addEventListener("mouseup", (event) => {
    const before = pressed;
    pressed = null;
    const button = event.target.closest?.("[data-focus]");
    if (!before || !button || !plain(event) || before.button.isConnected) return;
    if (button.dataset.focus !== before.button.dataset.focus || root.dataset.about !== before.about) return;
    button.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: event.detail }));
  });
};

const draw = (parent, ...nodes) => {
  let root = parent.querySelector(".root");
  if (!root) {
    root = h("div", { class: "root" });
    carryPresses(root);
    parent.append(root);
  }
  const focus = parent.activeElement?.dataset?.focus;
  root.replaceChildren(...nodes);
  if (focus) root.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  return root;
};
