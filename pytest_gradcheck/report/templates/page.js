"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, where = document) => [...where.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  root.classList.add("js");

  // Theme: as the system has it, or as chosen; remembered where the browser allows it.
  const themes = ["auto", "light", "dark"];
  const button = one("#theme");
  const stored = () => { try { return localStorage.getItem("gradcheck-theme"); } catch { return null; } };
  const wear = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = "Theme: " + theme;
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  wear(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    wear(theme);
    try { localStorage.setItem("gradcheck-theme", theme); } catch { /* not remembered */ }
  });

  // On a large page the inside of a check is text until it is opened.
  document.addEventListener("toggle", (event) => {
    const later = event.target.querySelector(".later");
    if (event.target.open && later) later.outerHTML = later.textContent;
  }, true);

  // A link to a check opens it.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", reveal);
  reveal();
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#overview a");
    if (link && link.hash === location.hash) reveal();
    const copy = event.target.closest(".copy");
    if (copy) {
      const code = copy.parentElement.querySelector("code");
      const done = () => {
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = "Copy"; }, 1500);
      };
      const select = () => getSelection().selectAllChildren(code);
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select);
      else select();
    }
  });

  const table = one("#overview");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];

  // Sorting: once upwards, once downwards, once back to how the page was made.
  const key = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim().toLowerCase();
    const value = Number(cell.dataset.v);
    return Number.isNaN(value) ? Infinity : value;
  };
  const collator = new Intl.Collator(undefined, { numeric: true });
  all("thead button", table).forEach((head) => head.addEventListener("click", () => {
    const th = head.closest("th");
    const column = th.cellIndex;
    const kind = head.dataset.kind;
    const next = { none: kind === "text" || column === 0 ? "ascending" : "descending" };
    if (next.none === "ascending") Object.assign(next, { ascending: "descending", descending: "none" });
    else Object.assign(next, { descending: "ascending", ascending: "none" });
    const order = next[th.getAttribute("aria-sort")];
    all("thead th", table).forEach((other) => other.setAttribute("aria-sort", "none"));
    th.setAttribute("aria-sort", order);
    const sorted = [...rows];
    if (order !== "none") {
      const sign = order === "ascending" ? 1 : -1;
      const keys = new Map(rows.map((row) => [row, key(row, column, kind)]));
      sorted.sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        return sign * (kind === "text" ? collator.compare(x, y) : x < y ? -1 : x > y ? 1 : 0);
      });
    }
    body.append(...sorted);
    const list = one("#checks");
    list.append(...sorted.map((row) => document.getElementById(row.dataset.for)));
  }));

  // Filtering: by status and by words, all of which must occur.
  const filters = all(".filter");
  const search = one("#search");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filter = () => {
    const chosen = new Set(filters.filter((f) => f.getAttribute("aria-pressed") === "true").map((f) => f.dataset.status));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row) => {
      const text = texts.get(row);
      const visible = chosen.has(row.dataset.status) && words.every((word) => text.includes(word));
      row.hidden = !visible;
      document.getElementById(row.dataset.for).hidden = !visible;
      shown += visible;
    });
    one("#shown").textContent = shown.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " shown";
  };
  filters.forEach((f) => f.addEventListener("click", () => {
    f.setAttribute("aria-pressed", String(f.getAttribute("aria-pressed") !== "true"));
    filter();
  }));
  search.addEventListener("input", filter);

  const toggle = one("#all");
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") !== "true";
    toggle.setAttribute("aria-expanded", String(open));
    toggle.textContent = open ? "Close all" : "Open all";
    all(".check").forEach((check) => { check.open = open && !check.hidden; });
  });
})();
