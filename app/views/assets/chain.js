let shown = null;
let pointed = null;
let pointedAt = null;

const marks = {
  equal: "The other chain has the same line here, from the same new passages",
  changed: "The other chain has a step for this too, with another line or other new passages",
  "only here": "The other chain has no step for this",
};

// Numbers stay with their units when a line is full.
const unbroken = (value) =>
  value.split(" · ").flatMap((part, index) => [index ? " · " : null, h("span", { class: "unbroken" }, part)]);

const score = (item) =>
  h(
    "span",
    { title: item.hint },
    item.glyph && h("span", { class: `glyph ${item.tone}`, "aria-hidden": "true" }, item.glyph),
    h("span", { class: "sr" }, item.word),
    text(item.label, "grey"),
    item.value && h("span", { class: "num" }, ` ${item.value}`),
  );

const passage = (item, id) =>
  h(
    "li",
    { "data-passage": item.id },
    h(
      "details",
      keptOpen(`evidence-${id}`),
      h(
        "summary",
        { title: "Show the passage", "data-focus": `evidence-${id}` },
        h("span", { class: "star", "aria-hidden": "true" }, item.gold ? "★" : ""),
        item.gold && h("span", { class: "sr" }, "gold evidence "),
        text(item.title),
        h("span", { class: "num grey" }, item.score),
      ),
      h("span", { class: "text" }, folded(item.text, 900, `passage-${id}`)),
    ),
  );

// A rationale with its words tinted by where they stand; folded, it is drawn without tints.
const rationale = (item, id) =>
  item.rationale.length > 600
    ? folded(item.rationale, 600, `rationale-${id}`)
    : h(
        "span",
        { class: "data", dir: "auto" },
        item.segments.map((piece) =>
          piece.passage
            ? h("span", { class: piece.tone, title: `${piece.hint}; click to read it`, tabindex: "0", role: "button", "data-in": piece.passage }, piece.text)
            : h("span", { class: piece.tone, title: piece.hint || null }, piece.text),
        ),
      );

const part = (id, title, ...children) =>
  h("details", { class: "all", ...keptOpen(id) }, h("summary", { "data-focus": id }, title), ...children);

const more = (scores, id) => scores.length > 0 && part(`more-${id}`, "more scores", h("div", { class: "scores" }, scores.map(score)));

const vote = (item, id) =>
  h(
    "li",
    {},
    item.verdicts.map((verdict) => h("span", {}, text(verdict.name, "grey"), h("span", { class: "num" }, ` ${verdict.value}`))),
    item.unscored && text(`– not scored: ${item.unscored}`, "grey"),
    item.tags.map((tag) => text(tag, "tag")),
    text(item.about, "grey"),
    item.explanation && h("div", {}, folded(item.explanation, 220, `vote-${id}`)),
  );

const votes = (items, id) =>
  items.length > 0 &&
  part(
    `votes-${id}`,
    items.length === 1 ? "what the judge said" : `what judges said (${items.length})`,
    h("ul", { class: "votes" }, items.map((item, index) => vote(item, `${id}-${index}`))),
  );

const person = (item, id) =>
  h(
    "li",
    {},
    text(item.who, "grey"),
    item.decided && h("span", { class: "warn" }, "decided"),
    item.labels.map((label) =>
      h("span", { class: `verdict ${label.tone}`, title: label.title }, h("span", { "aria-hidden": "true" }, label.glyph), " ", text(label.name)),
    ),
    item.tags.map((tag) => text(tag, "tag")),
    follow(item.href, text(item.project, "grey")),
    item.comment && h("div", {}, folded(item.comment, 220, `person-${id}`)),
  );

const people = (items, id) =>
  items.length > 0 && h("ul", { class: "votes people", "aria-label": "Labels of people" }, items.map((item, index) => person(item, `${id}-${index}`)));

// A tinted word and the passage it comes from point at each other; a click unfolds the passage.
const tie = (article) => {
  const of = (target) => target.closest?.("[data-in], [data-passage]");
  const light = (id, lit) => {
    for (const each of article.querySelectorAll(`[data-in="${CSS.escape(id)}"], [data-passage="${CSS.escape(id)}"]`)) each.classList.toggle("lit", lit);
  };
  const lighting = (lit) => (event) => {
    const found = of(event.target);
    if (found) light(found.dataset.in ?? found.dataset.passage, lit);
  };
  for (const kind of ["mouseover", "focusin"]) article.addEventListener(kind, lighting(true));
  for (const kind of ["mouseout", "focusout"]) article.addEventListener(kind, lighting(false));
  const unfold = (target) => {
    const item = article.querySelector(`[data-passage="${CSS.escape(target.dataset.in)}"]`);
    const details = item?.querySelector("details");
    if (!details) return;
    details.open = true;
    item.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  article.addEventListener("click", (event) => event.target.dataset?.in && unfold(event.target));
  article.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== " ") || !event.target.dataset?.in) return;
    event.preventDefault();
    unfold(event.target);
  });
  return article;
};

const gap = (row) => h("div", { class: "gap", vars: { "grid-row": String(row) } }, "no such step");

const step = (item, row, id) =>
  h(
    "section",
    { class: `step ${item.flag ? "flagged" : ""} ${item.number === pointed ? "pointed" : ""}`, "data-step": String(item.number), vars: { "grid-row": String(row) }, "aria-label": `Step ${item.number}` },
    h(
      "div",
      { class: "top" },
      h("span", { class: "number num" }, String(item.number)),
      h(
        "span",
        { class: "chip", title: item.ability.name, vars: { "--chip": item.ability.colour, "--chip-ink": item.ability.ink } },
        item.ability.short,
      ),
      item.flag && h("span", { class: "flag bad" }, "⚑ first wrong step"),
      item.mark && h("span", { class: "mark grey", title: marks[item.mark] }, item.mark),
      item.parted && h("span", { class: "mark warn", title: "From here on the two chains have read different passages" }, "≠ evidence parts"),
      h("span", { class: "cost grey num" }, unbroken(item.cost)),
    ),
    item.asked && h("div", { class: "query" }, h("span", { class: "label" }, item.asked), item.query && folded(item.query, 220, `query-${id}`, "grey")),
    item.passages.length > 0 &&
      h("ul", { class: "passages" }, item.passages.map((hit, index) => passage(hit, `${id}-${index}`))),
    h("div", { class: "rationale" }, rationale(item, id)),
    item.scores.length > 0 && h("div", { class: "scores" }, item.scores.map(score)),
    more(item.more, id),
    people(item.labelled, id),
    votes(item.judged, id),
  );

const chain = (run, item, index, id) =>
  h(
    "article",
    { class: "run", vars: { "--column": String(index + 1), "--run": run.colour }, "aria-label": `Run ${run.letter}` },
    h(
      "div",
      { class: "head" },
      h("h3", { class: "who" }, letter(run), text(run.name)),
      item && [
        h(
          "div",
          { class: "final" },
          h("span", { class: `glyph ${item.outcome.tone}`, title: item.outcome.word }, item.outcome.glyph),
          h("span", { class: "sr" }, item.outcome.word),
          item.answer === null ? h("span", { class: "grey" }, "no answer") : folded(item.answer, 200, `answer-${id}`),
        ),
        h("div", { class: "cost grey num" }, h("span", { class: "unbroken", title: item.stop.hint || null }, item.stop.word), " · ", unbroken(item.cost)),
        item.scores.length > 0 && h("div", { class: "scores" }, item.scores.map(score)),
        more(item.more, `chain-${id}`),
        people(item.labelled, id),
        votes(item.judged, id),
      ],
    ),
    item
      ? [...item.steps.map((part) => step(part, part.row + 2, `${id}-${part.number}`)), ...item.gaps.map((row) => gap(row + 2))]
      : h("div", { class: "missing" }, "This run has no chain for this question."),
  );

const hop = (item) =>
  h(
    "li",
    {},
    h("span", { class: "grey num" }, `${item.number} `),
    folded(item.question, 200, `hop-${item.number}`),
    item.after && h("span", { class: "grey" }, ` (${item.after})`),
    item.answer && h("div", {}, folded(item.answer, 120, `hop-answer-${item.number}`, "answer")),
    item.title && text(`★ ${item.title}`, "title grey"),
    h(
      "div",
      { class: "reached" },
      item.reached.map((mark) =>
        h("span", { class: mark.tone, title: mark.hint }, letter(mark), h("span", { class: "sr" }, `Run ${mark.letter} `), mark.text),
      ),
    ),
  );

export default ({ data, parentElement }) => {
  const { question } = data;
  if (shown !== data.id) unfolded.clear();
  pointed = data.step;
  const root = draw(
    parentElement,
    h(
      "div",
      { class: "card" },
      h("h2", {}, folded(question.text, 500, "question")),
      h(
        "div",
        { class: "facts" },
        data.gold
          ? h("span", { class: "gold" }, h("span", { class: "glyph", "aria-hidden": "true" }, "★"), h("span", { class: "label" }, "gold"), folded(question.answer, 200, "gold"))
          : h("span", { class: "grey" }, "gold hidden, ", h("kbd", {}, "g"), " shows it"),
        data.gold && question.aliases && h("span", { class: "grey" }, "also ", folded(question.aliases, 160, "aliases")),
        question.facts.map((fact) => text(fact, "grey")),
        text(question.key, "grey mono"),
      ),
    ),
    h(
      "div",
      { class: `body ${data.runs.length > 2 ? "many" : ""}` },
      data.hops.length > 0 && h("div", { class: "hops" }, h("h3", {}, "Gold hops"), h("ol", {}, data.hops.map(hop))),
      h(
        "div",
        { class: "chains", vars: { "--runs": String(data.runs.length) } },
        data.runs.map((run, index) => tie(chain(run, data.chains[index], index, `${data.id}-${index}`))),
      ),
    ),
  );
  // A chain read to its end leaves the page scrolled down; the next question starts at its top.
  if (shown !== null && shown !== data.id && root.getBoundingClientRect().top < 0) root.scrollIntoView({ block: "start" });
  shown = data.id;
  // A link may name a step: it is brought into view once, not at every update.
  if (data.step !== null && pointedAt !== `${data.id}-${data.step}`) root.querySelector(".pointed")?.scrollIntoView({ block: "center" });
  pointedAt = data.step === null ? null : `${data.id}-${data.step}`;
};
