// Draws the figures of a page, and watches for a newer copy. Everything is in the page without it, but for the pictures.
"use strict";

const POLL_SECONDS = 60;
const TILE_MARGIN = 1;
const MOST_TILES = 40;
const MOST_ZOOM = 17;

const style = () => getComputedStyle(document.documentElement);

// "var:ink" in a figure stands for the style sheet's colour of that name.
function coloured(value) {
  if (typeof value === "string") return value.startsWith("var:") ? style().getPropertyValue("--" + value.slice(4)).trim() : value;
  if (Array.isArray(value)) return value.length && typeof value[0] === "number" ? value : value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one)]));
  return value;
}

function layoutOf(figure) {
  const ink = style().getPropertyValue("--ink").trim();
  const line = style().getPropertyValue("--line").trim();
  const card = style().getPropertyValue("--card").trim();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  const layout = coloured(figure.layout);
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: style().fontFamily, size: 13 },
    hoverlabel: { bgcolor: card, bordercolor: line, font: { color: ink }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: ink },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

// Tiles of a map server, if one is set: where it cannot be reached, the lines below them stay.
function tilesFor(place) {
  const address = document.body.dataset.tiles;
  if (!address) return [];
  const [west, east] = place._fullLayout.xaxis.range;
  const [south, north] = place._fullLayout.yaxis.range;
  const wanted = Math.log2(360 / (east - west) * place.clientWidth / 256);
  const zoom = Math.max(0, Math.min(MOST_ZOOM, Math.round(wanted)));
  const size = 360 / 2 ** zoom;
  const column = (x) => Math.floor((x + 180) / size);
  const row = (y) => Math.floor((180 - y) / size);
  const images = [];
  for (let x = column(west) - TILE_MARGIN; x <= column(east) + TILE_MARGIN; x++)
    for (let y = row(north) - TILE_MARGIN; y <= row(south) + TILE_MARGIN; y++) {
      if (y < 0 || y >= 2 ** zoom) continue;
      const source = address.replace("{z}", zoom).replace("{x}", ((x % 2 ** zoom) + 2 ** zoom) % 2 ** zoom).replace("{y}", y);
      images.push({ source, xref: "x", yref: "y", x: x * size - 180, y: 180 - y * size, sizex: size, sizey: size, sizing: "stretch", layer: "below" });
    }
  return images.length > MOST_TILES ? images.slice(0, MOST_TILES) : images;
}

function draw(place) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  const isMap = place.classList.contains("map");
  const narrow = window.innerWidth < 600;
  const config = {
    responsive: true,
    displaylogo: false,
    scrollZoom: false,
    displayModeBar: narrow ? false : "hover",
    // Named one by one: others of Plotly's would send the data to its own servers.
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };
  place.textContent = "";
  return Plotly.newPlot(place, coloured(figure.data), layoutOf(figure), config).then(() => {
    if (isMap && document.body.dataset.tiles) {
      let waiting = 0;
      const update = () => { clearTimeout(waiting); waiting = setTimeout(() => Plotly.relayout(place, { images: tilesFor(place) }), 150); };
      place.on("plotly_relayout", (change) => { if (!("images" in change)) update(); });
      update();
    }
    place.on("plotly_click", (event) => {
      const point = event.points[0];
      const sensor = Array.isArray(point.data.customdata) ? point.customdata : point.data.customdata;
      if (sensor) location.href = document.body.dataset.sensor + "?" + new URLSearchParams({ id: sensor });
    });
    if (figure.steps) choosable(place, figure);
    place.dataset.drawn = "yes";
  });
}

// The map of a window: a slider chooses the hour.
function choosable(place, figure) {
  const slider = document.querySelector("input[data-map='" + place.id + "']");
  const text = document.getElementById("hour-text");
  const traces = place.data.map((trace, number) => number).filter((number) => place.data[number].mode === "markers");
  const show = () => {
    const step = figure.steps[slider.value];
    text.textContent = figure.hours[slider.value];
    text.title = figure.hours_utc[slider.value];
    slider.setAttribute("aria-valuetext", figure.hours[slider.value]);
    const colours = step.map((one) => one.colour.map((number) => figure.palette[number]));
    const texts = step.map((one, group) => one.text.map((text, number) =>
      [figure.titles[group][number], text, figure.notes[group][number]].filter(Boolean).join("<br>")));
    Plotly.restyle(place, { "marker.color": colours, text: texts }, traces);
  };
  slider.addEventListener("input", show);
  show();
}

function drawAll() {
  if (!window.Plotly) return;
  for (const place of document.querySelectorAll("[data-figure]")) draw(place);
}

// A page of now loads itself again once a newer copy is published; another one says that there is one.
async function watch() {
  if (document.hidden) return;
  let health;
  try {
    const answer = await fetch(document.body.dataset.health, { cache: "no-store" });
    health = await answer.json();
  } catch {
    return;
  }
  if (!health.copy || health.copy === document.body.dataset.copy) return;
  if (document.body.dataset.reloads) location.reload();
  else document.getElementById("newer")?.removeAttribute("hidden");
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("visibilitychange", watch);
setInterval(watch, POLL_SECONDS * 1000);
drawAll();
