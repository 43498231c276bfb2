"use strict";
// Draws the charts of the data block with Vega-Lite when they come into view, and makes tables and pictures live.
// All text of a run goes through textContent or Vega: nothing of it becomes markup.
const data = JSON.parse(document.getElementById("data").textContent);
const PALETTE = data.palette;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function config() {
  const ink = color("--ink");
  const axis = {
    labelColor: ink, titleColor: ink, tickColor: ink, domainColor: ink, gridColor: ink, gridOpacity: 0.12,
    domainOpacity: 0.4, tickOpacity: 0.4, labelOpacity: 0.8, titleOpacity: 0.8, titleFontWeight: "normal",
    labelFontSize: 11, titleFontSize: 12,
  };
  const legend = { labelColor: ink, titleColor: ink, orient: "top", title: null, symbolStrokeWidth: 3, labelFontSize: 12 };
  return {
    background: null, font: "system-ui, sans-serif", view: { stroke: null }, axis, legend, text: { color: ink },
    rule: { color: ink }, tick: { color: ink },
  };
}

// Whole numbers for an axis of epochs or steps.
function wholeTicks(first, last, most) {
  const rough = Math.max(1, (last - first) / most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough));
  const ticks = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) ticks.push(at);
  return ticks;
}

// A domain with some air, also around a single value.
function valueDomain(values, zero) {
  const finite = values.filter((value) => value !== null);
  if (!finite.length) return [0, 1];
  let low = finite.reduce((a, b) => Math.min(a, b)), high = finite.reduce((a, b) => Math.max(a, b));
  if (zero) low = Math.min(0, low);
  const air = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.1 || 0.1;
  return [zero && low === 0 ? 0 : low - air, high + air];
}

// "~g" alone would write 80 as 8e+1 where ticks are tens.
function numberFormat(domain) {
  const most = Math.max(...domain.map(Math.abs));
  return most < 1e-5 || most >= 1e6 ? "~g" : "~f";
}

function lines(block, width) {
  const rows = [];
  for (const curve of block.curves)
    curve.y.forEach((y, i) => rows.push({ x: data.steps[curve.x][i], y, series: curve.name, split: curve.split }));
  const names = block.runs || [...new Set(block.curves.map((curve) => curve.name))];
  const splits = [...new Set(block.curves.map((curve) => curve.split))];
  const own = names.length === 1 && block.color ? PALETTE.slice(block.color % PALETTE.length) : PALETTE;
  const palette = block.mean ? [color("--ink"), ...PALETTE] : own;
  const first = rows.reduce((a, row) => Math.min(a, row.x), Infinity);
  const last = rows.reduce((a, row) => Math.max(a, row.x), -Infinity);
  const xScale = { domain: first < last ? [first, last] : [first - 1, last + 1], nice: false, zero: false };
  const domain = valueDomain(rows.map((row) => row.y), block.zero);
  const columns = Math.max(1, Math.floor(width / 130));
  const legend = block.runs || names.length === 1 ? null : { columns, labelLimit: 110, symbolType: "stroke" };
  const encoding = {
    x: {
      field: "x", type: "quantitative", title: block.over, scale: xScale,
      axis: { values: wholeTicks(first, last, width / 60), format: last < 1e5 ? "d" : "~s", grid: false },
    },
    y: {
      field: "y", type: "quantitative", title: null, axis: { tickCount: 5, format: numberFormat(domain) },
      scale: { domain, zero: false, nice: false },
    },
    color: {
      field: "series", type: "nominal", legend,
      scale: { domain: names, range: names.map((_, i) => palette[i % palette.length]) },
    },
    opacity: { condition: { param: "picked", value: 1 }, value: 0.12 },
    tooltip: [
      { field: "series", title: "curve" }, { field: "split", title: "of" },
      { field: "x", title: block.over, type: "quantitative" },
      { field: "y", title: "value", type: "quantitative", format: ".4~g" },
    ],
  };
  const dash = {
    field: "split", type: "nominal",
    scale: { domain: splits, range: splits.map((split) => (split === "train" ? [5, 4] : [1, 0])) },
    legend: splits[0] === "value" && splits.length === 1 ? null : { columns },
  };
  const few = rows.length <= 60 * block.curves.length;
  const layer = [
    { mark: { type: "line", strokeWidth: 2, invalid: "break-paths-show-path-domains" }, encoding: { strokeDash: dash } },
    {
      transform: [{ filter: "isValid(datum.y)" }], mark: { type: "circle", size: few ? 34 : 8, opacity: 1 },
      params: [{ name: "picked", select: { type: "point", fields: ["series"] }, bind: "legend" }],
    },
  ];
  if (block.best && block.best.step >= first && block.best.step <= last) {
    const early = block.best.step - first < (last - first) / 3;
    const at = { x: { field: "x", type: "quantitative", scale: xScale } };
    const name = { text: { field: "name" }, y: { value: 0 } };
    const values = [{ x: block.best.step, name: `${block.best.word}: ${block.best.step}` }];
    const text = { type: "text", align: early ? "left" : "right", dx: early ? 5 : -5, dy: -4, baseline: "bottom", opacity: 0.85 };
    layer.unshift(
      { data: { values }, mark: { type: "rule", strokeDash: [2, 3], opacity: 0.6 }, encoding: at },
      { data: { values }, mark: text, encoding: { ...at, ...name } },
    );
    return { layer: layer.map((part, i) => (i < 2 ? part : { ...part, encoding: { ...encoding, ...part.encoding } })), data: { values: rows } };
  }
  return { layer: layer.map((part) => ({ ...part, encoding: { ...encoding, ...part.encoding } })), data: { values: rows } };
}

function heat(block, width) {
  const rows = [];
  block.z.forEach((cells, i) => cells.forEach((z, j) => rows.push({ x: block.x[j], y: block.rows[i], z })));
  const every = Math.ceil(block.x.length / Math.max(1, width / 45));
  const low = rows.reduce((a, row) => Math.min(a, row.z ?? a), Infinity);
  const high = rows.reduce((a, row) => Math.max(a, row.z ?? a), -Infinity);
  const domain = low >= 0 && high <= 1 ? [0, 1] : [low, high];
  return {
    data: { values: rows }, height: { step: 15 },
    mark: { type: "rect", invalid: null },
    encoding: {
      x: { field: "x", type: "ordinal", title: block.over, axis: { values: block.x.filter((_, i) => i % every === 0), labelAngle: 0 } },
      y: { field: "y", type: "nominal", sort: block.rows, title: null, axis: { labelLimit: width / 3, ticks: false, domain: false, labelFontSize: 10 } },
      color: {
        condition: { test: "!isValid(datum.z)", value: "transparent" },
        field: "z", type: "quantitative", scale: { scheme: "viridis", domain }, legend: { gradientLength: 140 },
      },
      tooltip: [
        { field: "y", title: "class" }, { field: "x", title: block.over, type: "ordinal" },
        { field: "z", title: block.title, type: "quantitative", format: ".4~g" },
      ],
    },
  };
}

function strip(block, width) {
  const jitter = (i) => ((i * 0.6180339887) % 1) - 0.5;
  const dots = block.dots.map(([at, value, name], i) => ({
    row: block.rows[at], value, name, jitter: jitter(i), run: block.sides ? block.sides[value > 0 ? 1 : 0] : "",
  }));
  const boxes = block.boxes.flatMap((box, at) =>
    box ? [{ row: block.rows[at], low: box[0], first: box[1], median: box[2], third: box[3], high: box[4] }] : []);
  const shown = [...dots.map((dot) => dot.value), ...boxes.flatMap((box) => [box.low, box.high])];
  const [low, high] = valueDomain(shown);
  const within = shown.every((value) => value >= 0 && value <= 1);
  const domain = within && !block.sides ? [Math.max(-0.02, low), Math.min(1.02, high)] : [low, high];
  const x = (field) => ({ field, type: "quantitative", title: block.title, scale: { domain, zero: false, nice: false }, axis: { tickCount: 6 } });
  const y = { field: "row", type: "nominal", sort: block.rows, title: null, axis: { labelLimit: width / 3, ticks: false, domain: false } };
  const fill = block.sides
    ? { field: "run", type: "nominal", legend: null, scale: { domain: block.sides, range: block.colors.map((i) => PALETTE[i % PALETTE.length]) } }
    : { value: PALETTE[(block.color || 0) % PALETTE.length] };
  const step = block.rows.length > 30 ? 17 : 30;
  const layer = [
    { data: { values: boxes }, mark: { type: "rule", opacity: 0.5 }, encoding: { y, x: x("low"), x2: { field: "high" } } },
    {
      data: { values: boxes }, mark: { type: "bar", size: step * 0.5, opacity: 0.22, color: color("--soft"), cornerRadius: 2 },
      encoding: { y, x: x("first"), x2: { field: "third" } },
    },
    {
      data: { values: dots }, mark: { type: "circle", size: dots.length > 600 ? 10 : 26, opacity: 0.65 },
      encoding: {
        y, x: x("value"), color: fill,
        yOffset: { field: "jitter", type: "quantitative", scale: { domain: [-0.9, 0.9] } },
        tooltip: [{ field: "name", title: "case" }, { field: "row", title: "class" }, { field: "value", title: block.title, type: "quantitative", format: ".4~g" }],
      },
    },
    { data: { values: boxes }, mark: { type: "tick", thickness: 2.5, size: step * 0.6 }, encoding: { y, x: x("median") } },
  ];
  if (block.sides)
    layer.unshift({ data: { values: [{ value: 0 }] }, mark: { type: "rule", strokeDash: [3, 3], opacity: 0.6 }, encoding: { x: x("value") } });
  return { layer, height: { step } };
}

function matrix(block, width) {
  const rows = block.cells.flatMap((cells, i) =>
    cells.map(([share, count], j) => ({ label: block.labels[i], predicted: block.names[j], share, count })));
  const step = Math.max(7, Math.min(36, (width - 90) / block.names.length));
  const room = step >= 26;
  const longest = Math.max(...block.names.map((name) => name.length));
  const fits = longest * 6 < (width * 0.7) / block.names.length;
  const axis = { grid: false, labelLimit: width / 4, ticks: false, domain: false, labelOverlap: !room };
  const base = {
    x: { field: "predicted", type: "nominal", sort: block.names, axis: { ...axis, labelAngle: fits ? 0 : -45 } },
    y: { field: "label", type: "nominal", sort: block.labels, title: "labeled", axis },
    tooltip: [
      { field: "label", title: "labeled" }, { field: "predicted" },
      { field: "share", type: "quantitative", format: ".1%" }, { field: "count", type: "quantitative", format: "," },
    ],
  };
  const opacity = { field: "share", type: "quantitative", scale: { domain: [0, 1], range: [0.04, 0.85] }, legend: null };
  const layer = [{ mark: { type: "rect", color: PALETTE[0], cornerRadius: room ? 3 : 0 }, encoding: { ...base, opacity } }];
  if (room)
    layer.push({
      transform: [{ filter: "isValid(datum.share)" }], mark: { type: "text", fontSize: step < 34 ? 10 : 12 },
      encoding: { ...base, text: { field: "share", type: "quantitative", format: ".0%" } },
    });
  return { data: { values: rows }, layer, height: { step } };
}

const kinds = { lines, heat, strip, matrix };

function draw(place) {
  const block = data.charts[place.dataset.chart];
  const width = place.clientWidth || 400;
  const spec = { width: "container", height: 230, autosize: { type: "fit-x", contains: "padding" }, ...kinds[block.kind](block, width), config: config() };
  if (typeof spec.height === "object") delete spec.autosize.type, (spec.autosize.type = "fit-x");
  const many = block.kind === "strip" && block.dots.length > 1500;
  return vegaEmbed(place, spec, { actions: false, renderer: many ? "canvas" : "svg" });
}

// The first charts at once, so that a printed or archived page has them; of a thousand the others as they are seen.
const AT_ONCE = 40;
const drawn = new Set();
const drawOnce = (place) => { if (!drawn.has(place)) { drawn.add(place); return draw(place); } };
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries)
    if (entry.isIntersecting) { observer.unobserve(entry.target); drawOnce(entry.target); }
}, { rootMargin: "600px" });
const places = [...document.querySelectorAll(".chart")];
places.filter((place) => !place.closest("details")).slice(0, AT_ONCE).forEach(drawOnce);
places.filter((place) => !drawn.has(place)).forEach((place) => observer.observe(place));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(drawOnce));

// Tables: sort by a click on a head, filter by words, and show more rows.
const STEP = 50;
for (const box of document.querySelectorAll("[data-table]")) {
  const { columns, rows } = data.tables[box.dataset.table];
  const body = box.querySelector("tbody"), search = box.querySelector("input"), state = box.querySelector(".state");
  const more = box.querySelector("button"), heads = [...box.querySelectorAll("th")];
  let sorted = rows, most = STEP;
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = sorted.filter((row) => { const text = row.join(" ").toLowerCase(); return words.every((word) => text.includes(word)); });
    body.replaceChildren(...hits.slice(0, most).map((row) => {
      const line = document.createElement("tr");
      row.forEach((value, i) => {
        const cell = document.createElement("td");
        cell.className = columns[i].numeric ? "n" : "name";
        cell.textContent = value === null ? "–" : columns[i].numeric ? number(value, columns[i].whole) : value;
        line.append(cell);
      });
      return line;
    }));
    state.textContent = `${Math.min(most, hits.length)} of ${hits.length} rows`;
    more.hidden = hits.length <= most;
  };
  const number = (value, whole) => (whole ? String(value) : value.toFixed(4));
  heads.forEach((head, i) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => (columns[i].numeric ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
      sorted = [...rows].sort((a, b) => (a[i] === null) - (b[i] === null) || (down ? -1 : 1) * order(a[i], b[i]));
      show();
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  });
  search.addEventListener("input", () => { most = STEP; show(); });
  more.addEventListener("click", () => { most += 4 * STEP; show(); });
  show();
}

// Pictures: larger on a click.
const large = document.getElementById("large");
for (const image of document.querySelectorAll("figure img"))
  image.addEventListener("click", () => {
    large.querySelector("img").src = image.src;
    large.querySelector("p").textContent = image.closest("figure").querySelector("figcaption").textContent;
    large.showModal();
  });
large.addEventListener("click", () => large.close());

// While a run goes on: reload, if the reader wants it. The address remembers it.
const reload = document.getElementById("reload");
if (reload) {
  let timer = null;
  const follow = () => { clearTimeout(timer); timer = reload.checked ? setTimeout(() => location.reload(), 15000) : null; };
  reload.checked = location.hash === "#reload";
  reload.addEventListener("change", () => { history.replaceState(null, "", reload.checked ? "#reload" : "#"); follow(); });
  follow();
}
