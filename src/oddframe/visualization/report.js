"use strict";
// All text from outside comes in through textContent, never as markup.
(() => {
  const { videos, curves, calibration } = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const look = $("look"), player = $("player"), missing = $("missing"), plot = $("plot"), cursor = $("cursor"), seeker = $("seek");
  let video = null; // the one shown
  let now = 0; // seconds of its source
  let watched = false; // whether the player has something to play

  const make = (tag, name = "", text = "") => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text) made.textContent = text;
    return made;
  };
  const clock = (seconds) => {
    const whole = Math.floor(Math.max(seconds, 0) + 1e-6), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    const two = (n) => String(n).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(whole % 60)}` : `${two(m)}:${two(whole % 60)}`;
  };
  // the same words as timeline.odds in Python
  const odds = (rarity) => {
    if (!(rarity > Math.log10(2))) return "most";
    if (rarity > 9) return "fewer than 1 in a billion";
    const number = 10 ** rarity;
    const digits = 10 ** Math.max(Math.floor(Math.log10(number)) - (number < 100 ? 1 : 0), 0);
    const round = Math.round(number / digits) * digits;
    if (round >= 1e9) return "1 in a billion";
    return round >= 1e6 ? `1 in ${(Math.floor(round / 1e6)).toLocaleString("en")} million` : `1 in ${round.toLocaleString("en")}`;
  };
  // and as timeline.rareness
  const rareness = (rarity, seen) => {
    if (!(rarity > Math.log10(2))) return "like most normal frames";
    return seen !== null && 10 ** rarity > seen ? `rarer than all ${seen.toLocaleString("en")} normal frames` : `${odds(rarity)} normal frames`;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const many = (count, word) => (count === 0 ? `no ${word}s` : `${count} ${word}${count === 1 ? "" : "s"}`);
  const peak = (v) => v.value.reduce((a, b) => Math.max(a, b), 0);

  // ---- the list of videos ----
  function strip(v) {
    const cells = 40, highest = new Array(cells).fill(0);
    v.seconds.forEach((at, n) => {
      const cell = Math.min(Math.max(Math.floor(((at - v.start) / (v.length || 1)) * cells), 0), cells - 1);
      highest[cell] = Math.max(highest[cell], v.value[n]);
    });
    const level = v.threshold ?? 3;
    const paint = highest.map((rarity, n) => {
      const share = Math.min(rarity / (level || 1), 1);
      const ink = share >= 1 ? "var(--odd)" : `color-mix(in srgb, var(--rarity) ${Math.round(share * 70)}%, var(--line))`;
      return `${ink} ${(n / cells) * 100}% ${((n + 1) / cells) * 100}%`;
    });
    return `linear-gradient(to right, ${paint.join(", ")})`;
  }
  function listVideos() {
    const order = videos.map((_, n) => n);
    if ($("order").value === "odd") order.sort((a, b) => videos[b].events.length - videos[a].events.length || peak(videos[b]) - peak(videos[a]));
    $("video-list").replaceChildren(...order.map((n) => {
      const v = videos[n], item = make("li"), pick = make("button", "pick"), who = make("span", "who");
      const count = make("span", v.events.length ? "count some" : "count", String(v.events.length));
      const bar = make("span", "strip");
      bar.style.backgroundImage = strip(v);
      pick.type = "button";
      pick.title = v.name;
      pick.dataset.video = n;
      pick.setAttribute("aria-label", `${v.name}, ${many(v.events.length, "event")}`);
      pick.setAttribute("aria-current", String(v === video));
      who.append(make("span", "", v.name), count);
      pick.append(who, bar);
      pick.addEventListener("click", () => show(n));
      item.append(pick);
      return item;
    }));
  }

  // ---- one video ----
  function show(n) {
    video = videos[n];
    now = video.start;
    look.hidden = false;
    document.querySelectorAll(".pick").forEach((pick) => pick.setAttribute("aria-current", String(Number(pick.dataset.video) === n)));
    $("name").textContent = video.name;
    $("summary").textContent = `${video.lasts}, ${many(video.events.length, "unusual event")}`;
    seeker.setAttribute("aria-valuemax", String(video.start + video.length));
    watched = Boolean(video.overlay);
    player.hidden = !watched;
    missing.hidden = watched;
    if (watched) {
      player.src = video.overlay;
    } else {
      player.removeAttribute("src");
      player.load();
      missing.textContent = "No overlay video was written for this one. The timeline and the events still tell when and where.";
    }
    listEvents();
    drawTimeline();
    // the first sight is what one came for
    if (video.events.length) seek(video.events.reduce((a, b) => (b.peak > a.peak ? b : a)).at);
  }
  player.addEventListener("error", () => {
    if (!player.getAttribute("src")) return;
    watched = false;
    player.hidden = true;
    missing.hidden = false;
    missing.textContent = `The overlay video ${decodeURIComponent(video.overlay)} is not beside this report, or this browser cannot play it. The timeline and the events still tell when and where.`;
    follow();
  });

  function listEvents() {
    if (!video.events.length) {
      const level = video.threshold === null ? "." : `: nothing as rare as ${odds(video.threshold)} normal frames.`;
      const nothing = make("li", "empty", `Nothing unusual here${level}`);
      const highest = video.value.indexOf(peak(video));
      if (highest >= 0) {
        const least = make("button", "least", `The least usual moment: ${clock(video.seconds[highest])}, ${rareness(video.value[highest], video.seen)}`);
        least.type = "button";
        least.addEventListener("click", () => seek(video.seconds[highest]));
        nothing.append(least);
      }
      $("event-list").replaceChildren(nothing, ...missedCards());
      return;
    }
    $("event-list").replaceChildren(...video.events.map((event, n) => {
      const card = make("li", "card"), button = make("button"), words = make("span", "words");
      button.type = "button";
      button.dataset.event = n;
      const thumb = event.picture ? make("img", "thumb") : make("span", "thumb");
      if (event.picture) { thumb.src = event.picture; thumb.alt = `The video at ${clock(event.at)}`; }
      const range = clock(event.start) === clock(event.end) ? clock(event.start) : `${clock(event.start)} – ${clock(event.end)}`;
      words.append(make("span", "when", event.over ? range : `${range}, goes on`), make("span", "rare", event.odds));
      if (event.estimate) words.append(make("span", "where quiet", event.estimate));
      if (event.place) words.append(make("span", "where quiet", event.place));
      button.append(thumb, words);
      if (event.because || event.example) {
        const because = make("span", "because");
        if (event.example) {
          const figure = make("figure"), picture = make("img");
          picture.src = event.example;
          picture.alt = "The nearest normal example";
          figure.append(picture, make("figcaption", "", "nearest normal example"));
          because.append(figure);
        }
        if (event.because) because.append(make("span", "", event.because));
        button.append(because);
      }
      button.addEventListener("click", () => seek(event.start, true));
      card.append(button);
      if (event.clip) {
        const clip = make("a", "clip", "clip");
        clip.href = event.clip;
        clip.title = "the event as a video of its own";
        card.append(clip);
      }
      return card;
    }), ...missedCards());
    $("event-list").classList.toggle("single", video.events.length + video.missed.length === 1);
  }
  /** Anomalous segments of the ground truth that raised no event. */
  function missedCards() {
    return video.missed.map(([start, end]) => {
      const card = make("li", "card missed-truth"), button = make("button"), words = make("span", "words");
      button.type = "button";
      words.append(make("span", "when", `${clock(start)} – ${clock(end)}`), make("span", "where", "missed: anomalous by the ground truth, raised no event"));
      button.append(words);
      button.addEventListener("click", () => seek(start, true));
      card.append(button);
      return card;
    });
  }

  function seek(seconds, play = false) {
    now = Math.min(Math.max(seconds, video.start), video.start + video.length);
    if (watched) {
      const go = () => {
        player.currentTime = Math.min(now - video.start, Math.max((player.duration || Infinity) - 0.001, 0));
        if (play) player.play().catch(() => {}); // a browser may refuse to start by itself; the picture is there
      };
      if (player.readyState >= 1) go();
      else player.addEventListener("loadedmetadata", go, { once: true });
    }
    follow();
  }
  const starts = () => video.events.map((event) => event.start);
  const before = () => starts().filter((at) => at < now - 1).pop();
  const after = () => starts().find((at) => at > now + 0.05);
  function step(by) {
    const at = by > 0 ? after() : before();
    if (at !== undefined) seek(at, true);
  }
  function toggle() {
    if (!watched) return;
    if (player.paused) player.play().catch(() => {});
    else player.pause();
  }
  player.addEventListener("click", toggle);
  $("toggle").addEventListener("click", toggle);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("speed").addEventListener("change", () => { player.defaultPlaybackRate = player.playbackRate = Number($("speed").value); });
  $("large").addEventListener("click", () => player.requestFullscreen?.());
  document.addEventListener("fullscreenchange", () => { player.controls = document.fullscreenElement === player; });
  function label() {
    $("toggle").textContent = player.paused ? "Play" : "Pause";
    for (const id of ["toggle", "speed", "large"]) $(id).disabled = !watched;
    $("previous").disabled = before() === undefined;
    $("next").disabled = after() === undefined;
    const total = make("span", "", ` / ${clock(video.start + video.length)}`);
    $("position").replaceChildren(make("b", "", clock(now)), total);
  }

  // ---- the timeline ----
  // Plotly's dates keep mm:ss right at any zoom. Not from 1970 on: it takes small numbers for years
  const EPOCH = Date.UTC(2000, 0, 1);
  const ms = (seconds) => EPOCH + seconds * 1000;
  const base = () => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("quiet") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
  });
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };
  const axis = (more) => ({ gridcolor: colour("line"), zeroline: false, linecolor: colour("line"), ...more });

  function drawTimeline() {
    const { seconds, value, threshold } = video;
    const x = seconds.map(ms), end = video.start + video.length;
    const top = video.highest * 1.18, drawn = value.map((rarity) => Math.min(rarity, video.highest));
    const traces = [{
      x, y: drawn, type: "scatter", mode: x.length === 1 ? "markers" : "lines", fill: "tozeroy", fillcolor: colour("soft"),
      line: { color: colour("rarity"), width: 1.5 }, marker: { color: colour("rarity") },
      text: value.map((rarity, n) => `<b>${clock(seconds[n])}</b>  ${rareness(rarity, video.seen)}<br>rarity ${rarity.toFixed(2)}`),
      hovertemplate: "%{text}<extra></extra>",
    }];
    if (video.events.length) {
      // an event of a second in an hour is narrower than a pixel: a mark above it is seen
      traces.push({
        x: video.events.map((event) => ms(event.at)), y: video.events.map(() => top * 0.97), type: "scatter", mode: "markers",
        hoverinfo: "skip", cliponaxis: false, marker: { symbol: "triangle-down", size: 9, color: colour("odd") },
      });
    }
    const shapes = video.events.map((event) => ({
      type: "rect", xref: "x", yref: "paper", x0: ms(event.start), x1: ms(event.end), y0: 0, y1: 1, layer: "below",
      fillcolor: colour("odd-soft"), line: { width: 0 },
    }));
    if (threshold !== null) {
      const level = { x, type: "scatter", mode: "lines", hoverinfo: "skip", line: { width: 0 } };
      traces.push({ ...level, y: x.map(() => threshold) });
      traces.push({ ...level, y: drawn.map((rarity) => Math.max(rarity, threshold)), fill: "tonexty", fillcolor: colour("odd") });
      shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: threshold, y1: threshold, line: { color: colour("ink"), width: 1.2, dash: "dash" } });
    }
    for (const [a, b] of video.truth ?? []) {
      shapes.push({ type: "rect", xref: "x", yref: "paper", x0: ms(a), x1: ms(b), y0: 0, y1: 0.035, fillcolor: colour("truth"), line: { width: 0 } });
    }
    const beyond = video.seen !== null && Math.log10(video.seen) < top;
    $("beyond-key").hidden = !beyond;
    if (beyond) {
      $("beyond-key").lastChild.textContent = `rarer than all ${video.seen.toLocaleString("en")} normal frames seen: an estimate`;
      const known = Math.log10(video.seen);
      shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: known, y1: top, fillcolor: colour("others"), opacity: 0.14, line: { width: 0 }, layer: "below" });
    }
    $("truth-key").hidden = !video.truth;
    const stepping = Math.max(1, Math.ceil(top / 6));
    const ticks = Array.from({ length: Math.floor(top / stepping) + 1 }, (_, n) => n * stepping);
    Plotly.react(plot, traces, {
      ...base(), shapes, hovermode: "x", hoverdistance: -1, dragmode: "zoom", margin: plot.clientWidth < 560 ? { l: 74, r: 10, t: 12, b: 52 } : { l: 112, r: 28, t: 16, b: 56 },
      xaxis: axis({
        type: "date", range: [ms(video.start), ms(end)], autorange: false, showgrid: false, showspikes: false, ticks: "outside", ticklen: 5, tickcolor: colour("line"),
        title: { text: end >= 3600 ? "time (h:mm:ss)" : "time (mm:ss)", font: { size: 12 }, standoff: 8 },
        tickformat: end >= 3600 ? "%-H:%M:%S" : "%M:%S", hoverformat: end >= 3600 ? "%-H:%M:%S" : "%M:%S",
        nticks: Math.max(3, Math.floor(plot.clientWidth / 110)),
      }),
      yaxis: axis({
        range: [0, top], fixedrange: true, tickvals: ticks,
        ticktext: ticks.map((tick) => (tick ? odds(tick).replace("fewer than 1 in a billion", "rarer") : "usual")),
        title: plot.clientWidth < 560 ? undefined : { text: "how rare", font: { size: 12 }, standoff: 10 },
      }),
    }, config).then(() => {
      if (!plot.dataset.listens) {
        plot.dataset.listens = "yes";
        plot.on("plotly_click", ({ event }) => {
          const axis = plot._fullLayout.xaxis;
          seek((axis.p2c(event.clientX - plot.getBoundingClientRect().left - axis._offset) - EPOCH) / 1000);
        });
        plot.on("plotly_relayout", follow);
        plot.on("plotly_afterplot", follow);
      }
      follow();
    });
  }

  /** Put the cursor where the player is, and mark the event that it is in. */
  function follow() {
    if (!video || !plot._fullLayout) return;
    label();
    const { xaxis, yaxis } = plot._fullLayout, at = xaxis.c2p(ms(now));
    cursor.style.display = at < -0.5 || at > xaxis._length + 0.5 ? "none" : "block";
    cursor.style.transform = `translateX(${xaxis._offset + at}px)`;
    cursor.style.top = `${yaxis._offset}px`;
    cursor.style.height = `${yaxis._length}px`;
    seeker.setAttribute("aria-valuenow", now.toFixed(1));
    seeker.setAttribute("aria-valuetext", clock(now));
    document.querySelectorAll("#event-list .card:not(.missed-truth)").forEach((card, n) => {
      const event = video.events[n];
      card.classList.toggle("now", event.start <= now + 0.02 && now <= event.end);
    });
  }
  function listen() {
    if (watched && player.readyState >= 1 && !player.seeking) now = player.currentTime + video.start;
    follow();
  }
  function run() {
    listen();
    if (!player.paused && !player.ended) requestAnimationFrame(run);
  }
  player.addEventListener("play", run);
  for (const name of ["seeked", "timeupdate", "pause", "ended"]) player.addEventListener(name, listen);

  // ---- keys ----
  seeker.addEventListener("keydown", (key) => {
    const by = key.shiftKey ? 10 : 1;
    const to = { ArrowLeft: now - by, ArrowRight: now + by, ArrowDown: now - by, ArrowUp: now + by, Home: video.start, End: video.start + video.length }[key.key];
    if (to !== undefined) seek(to);
    else return;
    key.preventDefault();
  });
  document.addEventListener("keydown", (key) => {
    if (!video || key.ctrlKey || key.metaKey || key.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(key.target.tagName)) return;
    if (key.key === "n") step(1);
    if (key.key === "p") step(-1);
    if (key.key === " " && !/^(BUTTON|A)$/.test(key.target.tagName)) {
      toggle();
      key.preventDefault(); // or the page would scroll
    }
  });

  // ---- evaluation and calibration ----
  function drawCurves(id, list, x, y, corner) {
    const place = $(id);
    if (!place || !list) return;
    const strong = [colour("rarity"), colour("odd"), colour("truth"), colour("ink")];
    const pooled = list.filter((curve) => curve.pooled), rest = list.filter((curve) => !curve.pooled);
    const name = (curve) => (curve.area === null ? curve.name : `${curve.name} (${curve.area.toFixed(3)})`);
    const safe = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;"); // Plotly reads some markup in names
    const line = (curve, look) => ({ x: curve.x, y: curve.y, type: "scatter", mode: "lines", name: safe(name(curve)), hovertemplate: `${safe(name(curve))}<br>%{x:.3f}, %{y:.3f}<extra></extra>`, ...look });
    const traces = rest.map((curve, n) => line(curve, { line: { color: colour("others"), width: 1 }, opacity: 0.7, legendgroup: "each", showlegend: n === 0, ...(n === 0 ? { name: `each of ${rest.length} videos` } : {}) }))
      .concat(pooled.map((curve, n) => line(curve, { line: { color: strong[n % strong.length], width: 2.4 } })));
    if (corner) traces.unshift({ x: [0, 1], y: [0, 1], type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: colour("others"), width: 1, dash: "dot" } });
    Plotly.react(place, traces, {
      ...base(), showlegend: true, legend: { x: 0.98, y: 0.04, xanchor: "right", yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: { color: colour("ink") } },
      margin: { l: 58, r: 18, t: 22, b: 60 }, hovermode: "closest",
      xaxis: axis({ range: [-0.01, 1.01], title: { text: x, standoff: 10 } }), yaxis: axis({ range: [-0.01, 1.02], title: { text: y } }),
    }, config);
  }
  function drawCalibration() {
    const place = $("calibration-plot");
    if (!place || !calibration) return;
    const { threshold, per_hour, chosen, expected, interval: [low, high], asked, supported } = calibration;
    const traces = [], shapes = [], annotations = [];
    const note = (y, text, anchor) => annotations.push({ xref: "paper", x: 0.01, y: Math.log10(y), text, showarrow: false, xanchor: "left", yanchor: anchor, font: { size: 12, color: colour("quiet") } });
    traces.push({
      x: threshold, y: per_hour, type: "scatter", mode: "lines", line: { color: colour("rarity"), width: 2.4 },
      text: threshold.map(odds), hovertemplate: "threshold %{text}<br>%{y:.3g} false alarms per hour<extra></extra>",
    });
    traces.push({
      x: [chosen], y: [expected], type: "scatter", mode: "markers", marker: { color: colour("odd"), size: 11 },
      error_y: { type: "data", symmetric: false, array: [high - expected], arrayminus: [expected - low], color: colour("odd"), thickness: 2, width: 6 },
      hovertemplate: `in use: ${odds(chosen)}<br>%{y:.3g} per hour, 95 % interval ${low.toPrecision(2)} to ${high.toPrecision(2)}<extra></extra>`,
    });
    const drawn = per_hour.concat([asked, expected, low, high]).filter((rate) => rate > 0);
    const bottom = Math.log10(Math.min(...drawn)) - 0.25, top = Math.log10(Math.max(...drawn)) + 0.25;
    const pace = Math.ceil((threshold.at(-1) - threshold[0]) / (place.clientWidth / 130));
    const marks = Array.from({ length: 13 }, (_, n) => n).filter((n) => n % pace === 0 && n >= threshold[0] && n <= threshold.at(-1));
    const powers = Array.from({ length: 21 }, (_, n) => 10 ** (n - 10));
    if (10 ** bottom < supported) {
      shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: 10 ** bottom, y1: supported, fillcolor: colour("others"), opacity: 0.16, line: { width: 0 }, layer: "below" });
      note(10 ** bottom, "rarer than could be counted", "bottom");
    }
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: asked, y1: asked, line: { color: colour("quiet"), width: 1, dash: "dot" } });
    note(asked, `asked for: ${asked} per hour`, "top");
    annotations.push({ x: chosen, y: Math.log10(expected), text: "threshold in use", showarrow: false, xanchor: "left", yanchor: "bottom", xshift: 9, yshift: 2, font: { size: 12, color: colour("odd") } });
    Plotly.react(place, traces, {
      ...base(), shapes, annotations, margin: { l: 70, r: 18, t: 22, b: 60 }, hovermode: "closest",
      xaxis: axis({ tickvals: marks, ticktext: marks.map(odds), title: { text: "threshold: as rare as so many normal frames", standoff: 10 } }),
      yaxis: axis({ type: "log", range: [bottom, top], tickvals: powers, ticktext: powers.map((rate) => rate.toLocaleString("en", { maximumFractionDigits: 10 })), title: { text: "false alarms per hour" } }),
    }, config);
  }
  function drawRest() {
    drawCurves("roc-plot", curves.roc, "false positive rate", "true positive rate", true);
    drawCurves("detection-plot", curves.detection, "false positive regions per frame", "detection rate", false);
    drawCalibration();
  }

  // ---- begin ----
  if (videos.length > 1) {
    look.classList.add("many");
    $("videos").hidden = false;
    $("order").addEventListener("change", listVideos);
    listVideos();
  }
  if (videos.length) show(Math.max(videos.findIndex((v) => v.events.length), 0));
  drawRest();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (video) drawTimeline(); drawRest(); });
})();
