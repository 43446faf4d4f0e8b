// The circumplex and the chart of the last hour, as SVG. Two drawings of at most a few hundred points: a library for
// them would be several times all of this page.

const SVG = "http://www.w3.org/2000/svg";
const HOUR = 3600;

/** An element of SVG with these attributes, put into a parent. */
function put(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

/** Valence to the right and arousal upwards, both -1 to 1, with the way that the point has come. */
export function circumplex(svg, points) {
  svg.replaceChildren();
  put(svg, "circle", { class: "axis", r: 100 });
  put(svg, "circle", { class: "grid", r: 50 });
  put(svg, "path", { class: "axis", d: "M-100 0H100M0-100V100" });
  for (const [x, y, anchor, text] of [
    [0, -88, "middle", "excited"], [0, 94, "middle", "calm"],
    [-96, -4, "start", "unpleasant"], [96, -4, "end", "pleasant"],
  ]) put(svg, "text", { x, y, "text-anchor": anchor }, text);
  const places = points.filter((point) => point.valence != null && point.arousal != null)
    .map((point) => [100 * point.valence, -100 * point.arousal]);
  if (places.length === 0) return;
  put(svg, "polyline", { class: "trail", points: places.join(" ") });
  places.slice(0, -1).forEach(([cx, cy], place) => {
    put(svg, "circle", { class: "past", cx, cy, r: 2, "fill-opacity": 0.15 + 0.5 * place / places.length });
  });
  const [cx, cy] = places.at(-1);
  put(svg, "circle", { class: "point", cx, cy, r: 6 });
}

/** Pieces of a line without those points that have no value. */
function pieces(points, key) {
  const found = [];
  let open = null;
  for (const point of points) {
    if (point[key] == null) {
      open = null;
    } else {
      if (open === null) found.push(open = []);
      open.push(point);
    }
  }
  return found;
}

/** The last hour: people as steps from the bottom and, where there are `scores`, valence and arousal between -1 and 1. */
export function chart(svg, points, scores) {
  const { width, height } = svg.getBoundingClientRect();
  if (width === 0) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [left, right, top, bottom] = [28, width - 28, 10, height - 26];
  const x = (ago) => right - (right - left) * Math.min(ago, HOUR) / HOUR;
  const most = Math.max(4, ...points.map((point) => point.people ?? 0));
  const count = (people) => bottom - (bottom - top) * people / most;
  const score = (value) => bottom - (bottom - top) * (value + 1) / 2;
  svg.replaceChildren();
  for (const minutes of width < 500 ? [60, 30, 0] : [60, 45, 30, 15, 0]) {
    put(svg, "path", { class: "grid", d: `M${x(60 * minutes)} ${top}V${bottom}` });
    const text = minutes === 0 ? "now" : `${minutes} min ago`;
    put(svg, "text", { x: x(60 * minutes), y: height - 6, "text-anchor": minutes === 60 ? "start" : "middle" }, text);
  }
  for (const value of [-1, 0, 1]) {
    put(svg, "path", { class: value === 0 ? "axis" : "grid", d: `M${left} ${score(value)}H${right}` });
    if (scores) put(svg, "text", { x: right + 6, y: score(value) + 4 }, value > 0 ? "+1" : value < 0 ? "−1" : "0");
  }
  put(svg, "text", { x: left - 6, y: bottom + 4, "text-anchor": "end" }, "0");
  put(svg, "text", { x: left - 6, y: top + 4, "text-anchor": "end" }, most);
  for (const piece of pieces(points, "people")) {
    const steps = piece.map((point) => `V${count(point.people).toFixed(1)}H${x(point.ago).toFixed(1)}`);
    const begin = x(piece[0].ago + piece[0].seconds).toFixed(1);
    put(svg, "path", { class: "people-line", d: `M${begin} ${bottom}${steps.join("")}V${bottom}` });
  }
  for (const key of ["valence", "arousal"]) {
    for (const piece of pieces(points, key)) {
      const middle = (point) => x(point.ago + point.seconds / 2);
      const line = piece.map((point) => `${middle(point).toFixed(1)},${score(point[key]).toFixed(1)}`);
      if (line.length > 1) put(svg, "polyline", { class: `${key}-line`, points: line.join(" ") });
      else put(svg, "circle", { class: `${key}-dot`, cx: middle(piece[0]), cy: score(piece[0][key]), r: 2.5 });
    }
  }
}
