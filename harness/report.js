/* report.js -- draws the report from data/*.js.
 *
 * What a model, a judge or a benchmark said becomes text nodes and attributes, nothing else: there is no
 * way from it to markup. Answers come in chunks, by <script>, since a page from file:// may load nothing
 * in another way; at most KEEP chunks stay in memory. */
(function () {
"use strict";

var PAGE = 20, KEEP = 64, AT_ONCE = 8;
var DASHES = ["", "8 4", "2 4", "10 3 2 3", "5 5", "1 3"];
var S = null;

/* ---- making elements -------------------------------------------------------------------------- */

function fill(node, attributes, children) {
    for (var key in attributes || {}) node.setAttribute(key, attributes[key]);
    (children || []).forEach(function (c) {
        if (c !== null && c !== undefined)
            node.appendChild(typeof c === "object" ? c : document.createTextNode(String(c)));
    });
    return node;
}
function el(name, attributes, children) { return fill(document.createElement(name), attributes, children); }
function svg(name, attributes, children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}
function part(id) { return document.getElementById(id); }
function series(side) { return "s" + side % 6; }
function figure(x, digits) {
    return x === null || x === undefined ? "–" : x.toFixed(digits === undefined ? 1 : digits).replace("-", "−");
}
function signed(x) { return x === null ? "–" : (x > 0 ? "+" : "") + figure(x); }
function p_value(p) { return p === null ? "–" : p < 0.001 ? "<0.001" : p.toFixed(3); }
function notes(lines) {
    return el("div", { "class": "note" }, lines.map(function (l) { return el("p", {}, [l]); }));
}

/* One mark a series, so that grey and colour-blind eyes tell them apart: circle, square, triangle, rhomb. */
function mark(side, x, y) {
    var c = { "class": "mark " + series(side) }, r = 5;
    switch (side % 4) {
    case 0: return svg("circle", Object.assign(c, { cx: x, cy: y, r: r }));
    case 1: return svg("rect", Object.assign(c, { x: x - r, y: y - r, width: 2 * r, height: 2 * r }));
    case 2: return svg("path", Object.assign(c, { d: "M" + x + " " + (y - 6) + "l6 11h-12z" }));
    default: return svg("path", Object.assign(c, { d: "M" + x + " " + (y - 7) + "l6 7l-6 7l-6-7z" }));
    }
}
/* A drawing keeps letters of a readable size: where the window is narrower it scrolls, as a table does. */
function chart(drawing) { return el("div", { "class": "scroll", tabindex: "0" }, [drawing]); }
function legend(sides, swatch) {
    return el("ul", { "class": "legend" }, sides.map(function (side) {
        return el("li", {}, [swatch(side), S.sides[side].title]);
    }));
}
function all_sides() { return S.sides.map(function (x, i) { return i; }); }

/* ---- scores ------------------------------------------------------------------------------------ */

/* A column is a benchmark, or one by one judge: what different judges say does not compare. */
function columns(fits) {
    var all = [];
    S.sets.forEach(function (x, set) {
        S.scores.forEach(function (r) {
            if (r.set === set && fits(r) && !all.some(function (c) { return c.set === set && c.judge === r.judge; }))
                all.push({ set: set, judge: r.judge });
        });
    });
    return all;
}
function column_title(c) { return S.sets[c.set].title + (c.judge ? " (" + c.judge + ")" : ""); }
function short_title(c, all) {                              /* the judge only where there are several */
    var several = all.filter(function (x) { return x.set === c.set; }).length > 1;
    var title = several ? column_title(c) : S.sets[c.set].title;
    return title.length > 22 ? title.slice(0, 21) + "…" : title;
}
function is_headline(r) { return r.headline; }
function score_of(column, side) {
    return S.scores.find(function (r) {
        return r.headline && r.set === column.set && r.judge === column.judge && r.side === side; });
}
/* The marks behind a figure; what they say is noted in used. */
function marks_of(r, fp8, used) {
    if (r.partial) used.partial = true;
    if (!r.official) used.unofficial = true;
    if (fp8) used.fp8 = true;
    if (r.judge === "demo") used.demo = true;
    return (r.partial ? "†" : "") + (r.official ? "" : "‡") + (fp8 ? "§" : "");
}
function notes_of(used) {
    return [used.partial && "† partial: some of the questions have no answer, or only a selection was asked.",
        used.unofficial && "‡ not the data of the official release: these figures do not compare with published ones.",
        used.fp8 && "§ made in fp8: e4m3 weights and activations.",
        used.demo && "(demo) judged by word overlap with the reference, offline: no judgement of quality."].filter(Boolean);
}
function draw_scores() {
    var sets = columns(is_headline), used = {}, prompts = S.sides.some(function (s) { return s.prompts !== "paper"; });
    if (!sets.length)
        return part("scores").appendChild(notes(["The store holds no score yet."]));
    var ranks = sets.map(function (set) {
        var v = all_sides().map(function (side) { return score_of(set, side); })
            .filter(function (r) { return r && r.value !== null; }).map(function (r) { return r.value; })
            .sort(function (a, b) { return b - a; });
        return v.length > 1 && v[0] !== v[1] ? { best: v[0], second: v.length > 2 ? v[1] : NaN } : {};
    });
    var head = el("tr", {}, [el("th", { scope: "col" }, ["Model"]), el("th", { scope: "col" }, ["Connector"]),
        prompts ? el("th", { scope: "col" }, ["Prompts"]) : null].concat(sets.map(function (set) {
            var s = S.sets[set.set];
            return el("th", { scope: "col", title: s.metric + ": " + s.about }, [column_title(set)]);
        })));
    var body = S.sides.map(function (s, side) {
        return el("tr", {}, [el("th", { scope: "row" }, [s.model]),
            el("td", { "class": "word" }, [s.connector || "unknown"]),
            prompts ? el("td", { "class": "word" }, [s.prompts]) : null].concat(sets.map(function (set, i) {
                var r = score_of(set, side);
                if (!r || r.value === null) return el("td", {}, ["–"]);
                return el("td", { "class": r.value === ranks[i].best ? "best" :
                                           r.value === ranks[i].second ? "second" : "",
                                  title: r.n + " questions" + (r.stderr === null ? "" : ", standard error " +
                                         figure(r.stderr, 2)) },
                          [figure(r.value) + marks_of(r, r.dtype === "fp8", used)]);
            })));
    });
    part("scores").appendChild(el("div", { "class": "scroll", tabindex: "0", role: "region",
                                           "aria-label": "Table of scores" }, [
        el("table", {}, [el("caption", {}, ["The headline of every benchmark; the best in bold, the second underlined."]),
            el("thead", {}, [head]), el("tbody", {}, body)])]));
    part("scores").appendChild(notes(notes_of(used).concat(["Figures are percentages, but for MME: points, of 2,000."])));
}

/* ---- the radar --------------------------------------------------------------------------------- */

function draw_profile() {
    var sets = columns(is_headline), sides = all_sides().slice(0, 6), R = 190, X = 360, Y = 250;
    if (sets.length < 3)
        return part("profile").appendChild(notes(["A profile needs the scores of three benchmarks."]));
    function at(i, share) {
        var w = 2 * Math.PI * i / sets.length;
        return [X + R * share * Math.sin(w), Y - R * share * Math.cos(w)];
    }
    function ring(share) { return "M" + sets.map(function (s, i) { return at(i, share).map(Math.round).join(" "); }).join("L") + "Z"; }
    var shapes = [svg("title", {}, ["Headline scores as shares of a perfect score"]),
                  svg("desc", {}, ["The same figures stand in the table of scores."])];
    [0.25, 0.5, 0.75, 1].forEach(function (share) {
        shapes.push(svg("path", { "class": "grid", d: ring(share) }));
        if (share < 1) shapes.push(svg("text", { "class": "soft", x: X + 4, y: Y - R * share - 3 }, [share * 100]));
    });
    sets.forEach(function (set, i) {
        var end = at(i, 1), word = at(i, 1.1), across = Math.sin(2 * Math.PI * i / sets.length);
        shapes.push(svg("path", { "class": "grid", d: "M" + X + " " + Y + "L" + end.map(Math.round).join(" ") }));
        shapes.push(svg("text", { x: word[0], y: word[1] + 5,
            "text-anchor": Math.abs(across) < 0.1 ? "middle" : across > 0 ? "start" : "end" }, [short_title(set, sets)]));
    });
    sides.forEach(function (side) {
        var path = "", open = false, marks = [];
        sets.concat([sets[0]]).forEach(function (set, i) {
            var r = score_of(set, side);
            if (!r || r.value === null) { open = false; return; }
            var p = at(i, Math.max(0, Math.min(1, r.value / S.sets[set.set].scale)));
            path += (open ? "L" : "M") + p[0].toFixed(1) + " " + p[1].toFixed(1);
            open = true;
            if (i < sets.length) marks.push(mark(side, +p[0].toFixed(1), +p[1].toFixed(1)));
        });
        shapes.push(svg("path", { "class": "trace " + series(side), d: path || "M0 0", "stroke-dasharray": DASHES[side % 6] }));
        shapes = shapes.concat(marks);
    });
    part("profile").appendChild(legend(sides, line_swatch));
    part("profile").appendChild(chart(svg("svg", { viewBox: "30 30 660 440", width: 660, role: "img",
        "aria-label": "Radar of headline scores; the table above has the figures" }, shapes)));
    part("profile").appendChild(notes(["Centre: 0. Rim: a perfect score (100; MME 2,000). A line that breaks has no score there."]));
}
function line_swatch(side) {
    return svg("svg", { width: 44, height: 16, "aria-hidden": "true" }, [
        svg("path", { "class": "trace " + series(side), d: "M0 8H44", "stroke-dasharray": DASHES[side % 6] }), mark(side, 22, 8)]);
}

/* ---- bars -------------------------------------------------------------------------------------- */

/* Hatching tells series apart without colour: none, one way, the other way, both. */
function bar(side, x, y, width, height) {
    var shapes = [svg("rect", { "class": "bar", x: x, y: y, width: Math.max(width, 0), height: height })], k = side % 4, d = "";
    for (var at = 6; at < width; at += 8) {
        if (k === 1 || k === 3) d += "M" + (x + at) + " " + y + "L" + (x + at - 6) + " " + (y + height);
        if (k === 2 || k === 3) d += "M" + (x + at - 6) + " " + y + "L" + (x + at) + " " + (y + height);
    }
    if (d) shapes.push(svg("path", { "class": "hatch", d: d }));
    return svg("g", { "class": series(side) }, shapes);
}
function bar_swatch(side) { return svg("svg", { width: 32, height: 14, "aria-hidden": "true" }, [bar(side, 0, 0, 32, 14)]); }

function is_category(r) { return r.category && !r.headline; }
function category_chart(set) {
    var rows = S.scores.filter(function (r) { return r.set === set.set && r.judge === set.judge && is_category(r); });
    var names = [], sides = all_sides().filter(function (s) { return rows.some(function (r) { return r.side === s; }); });
    rows.forEach(function (r) { if (names.indexOf(r.metric) < 0) names.push(r.metric); });
    var top = rows.reduce(function (m, r) { return Math.max(m, r.value || 0); }, 100);
    var each = 15, left = 190, wide = 430, y = 6, shapes = [];
    names.forEach(function (name) {
        shapes.push(svg("text", { x: left - 8, y: y + each * sides.length / 2 + 4, "text-anchor": "end" },
                        [name.length > 26 ? name.slice(0, 25) + "…" : name]));
        sides.forEach(function (side) {
            var r = rows.find(function (x) { return x.side === side && x.metric === name; });
            if (r && r.value !== null) {
                shapes.push(bar(side, left, y, wide * Math.max(0, r.value) / top, each - 3));
                shapes.push(svg("text", { x: left + wide * Math.max(0, r.value) / top + 5, y: y + 11 }, [figure(r.value)]));
            }
            y += each;
        });
        y += 8;
    });
    shapes.push(svg("path", { "class": "zero", d: "M" + left + " 0V" + y }));
    var table = el("details", {}, [el("summary", {}, ["The same as a table"]), el("div", { "class": "scroll", tabindex: "0" }, [
        el("table", {}, [el("thead", {}, [el("tr", {}, [el("th", { scope: "col" }, ["Category"])].concat(sides.map(function (s) {
            return el("th", { scope: "col" }, [S.sides[s].title]); })))]),
            el("tbody", {}, names.map(function (name) {
                return el("tr", {}, [el("th", { scope: "row" }, [name])].concat(sides.map(function (side) {
                    var r = rows.find(function (x) { return x.side === side && x.metric === name; });
                    return el("td", {}, [figure(r ? r.value : null)]);
                })));
            }))])])]);
    return el("div", {}, [legend(sides, bar_swatch), chart(svg("svg", { viewBox: "0 0 700 " + (y + 4), width: 700, role: "img",
        "aria-label": "Bars of " + column_title(set) + " by category; the table below has the figures" }, shapes)), table]);
}
function draw_categories() {
    var sets = columns(is_category);
    if (!sets.length) return part("categories").appendChild(notes(["No score is broken down by category."]));
    var chart = el("div", { id: "bars" }), choice = choose("bars-set", sets.map(function (c, i) { return [i, column_title(c)]; }));
    function show() { chart.replaceChildren(category_chart(sets[+choice.value])); }
    choice.addEventListener("change", show);
    part("categories").appendChild(el("form", {}, [el("label", {}, ["Benchmark", choice])]));
    part("categories").appendChild(chart);
    show();
}

/* ---- the comparison ---------------------------------------------------------------------------- */

function forest(rows) {
    var y = 26, left = 170, wide = 480, most = 1, shapes = [];
    function share(r, x) { return x * 100 / S.sets[r.set].scale; }
    rows.forEach(function (r) {
        [r.low, r.high, r.difference].forEach(function (x) { if (x !== null) most = Math.max(most, Math.abs(share(r, x))); });
    });
    most = Math.ceil(most / 5) * 5;
    function at(x) { return left + wide / 2 + x / most * wide / 2; }
    [-most, -most / 2, 0, most / 2, most].forEach(function (x) {
        shapes.push(svg("path", { "class": x ? "grid" : "zero", d: "M" + at(x) + " 20V" + (26 * rows.length + 22) }));
        shapes.push(svg("text", { "class": "soft", x: at(x), y: 13, "text-anchor": "middle" }, [signed(x)]));
    });
    rows.forEach(function (r) {
        shapes.push(svg("text", { x: left - 10, y: y + 14, "text-anchor": "end" }, [S.sets[r.set].title]));
        if (r.low !== null)
            shapes.push(svg("path", { "class": "trace s4", d: "M" + at(share(r, r.low)) + " " + (y + 4) + "v12m0-6H" +
                            at(share(r, r.high)) + "m0-6v12" }));
        if (r.difference !== null) shapes.push(mark(0, at(share(r, r.difference)), y + 10));
        y += 26;
    });
    return chart(svg("svg", { viewBox: "0 0 700 " + (y + 4), width: 700, role: "img",
        "aria-label": "Differences with 95 % intervals; the table below has the figures" }, shapes));
}
function comparison_table(rows, headline, used) {
    return el("div", { "class": "scroll", tabindex: "0" }, [el("table", {}, [
        el("thead", {}, [el("tr", {}, ["Benchmark", headline ? null : "Metric", "A", "B", "B−A", "95 % interval", "p", "Holm",
            "B better", "A better", "of"].filter(Boolean).map(function (t) { return el("th", { scope: "col" }, [t]); }))]),
        el("tbody", {}, rows.map(function (r) {
            var sure = r.holm !== null && r.holm < 0.05;
            return el("tr", {}, [el("th", { scope: "row" }, [column_title(r)]),
                headline ? null : el("td", { "class": "word" }, [r.metric]),
                el("td", {}, [figure(r.a) + marks_of(r, r.fp8[0], used)]),
                el("td", {}, [figure(r.b) + marks_of(r, r.fp8[1], used)]),
                el("td", { "class": sure ? "best" : "" }, [signed(r.difference) + (sure ? "*" : "")]),
                el("td", {}, [r.low === null ? "–" : "[" + signed(r.low) + ", " + signed(r.high) + "]"]),
                el("td", {}, [p_value(r.p)]), el("td", {}, [p_value(r.holm)]),
                el("td", {}, [r.gained]), el("td", {}, [r.lost]), el("td", {}, [r.n])]);
        }))])]);
}
function draw_comparison() {
    var box = part("comparison"), body = el("div", {});
    var pairs = S.comparisons.filter(function (c) { return c.rows.length; });
    if (!pairs.length) return box.appendChild(notes(["There are no two models with runs over the same questions."]));
    function name(i) { var s = S.sides[i]; return s.title + (s.connector ? " (" + s.connector + ")" : ""); }
    var choice = choose("pair", pairs.map(function (c, i) { return [i, name(c.a) + " and " + name(c.b)]; }));
    function show() {
        var pair = pairs[+choice.value], heads = pair.rows.filter(function (r) { return r.headline; });
        var others = pair.rows.filter(function (r) { return !r.headline; }), used = {};
        var table = comparison_table(heads, true, used), more = comparison_table(others, false, used);
        body.replaceChildren(el("p", {}, ["A is ", el("strong", {}, [name(pair.a)]), ", B is ", el("strong", {}, [name(pair.b)]),
            ". Right of the middle B is better."]), forest(heads), table,
            others.length ? el("details", {}, [el("summary", {}, ["By category"]), more]) : "", notes(notes_of(used)));
    }
    choice.addEventListener("change", show);
    if (pairs.length > 1) box.appendChild(el("form", {}, [el("label", {}, ["Models", choice])]));
    box.appendChild(body);
    box.appendChild(notes(["Only questions that both answered. Intervals by bootstrap over pictures, 10,000 draws, the same in both. " +
        "* p below 0.05 after Holm's correction over the table. In the drawing MME's points are shares of 2,000."]));
    show();
}

/* ---- answers: data on demand -------------------------------------------------------------------- */

var indexes = {}, chunks = new Map(), waiting = {};

function load(key, file) {
    if (waiting[key]) return waiting[key].promise;
    var w = waiting[key] = {};
    w.promise = new Promise(function (resolve, reject) {
        var script = el("script", { src: file });
        w.done = function (data) { delete waiting[key]; script.remove(); resolve(data); };
        script.onerror = function () { delete waiting[key]; script.remove(); reject(new Error(file + " cannot be read")); };
        document.head.appendChild(script);
    });
    return w.promise;
}
function get_index(name) {
    return indexes[name] ? Promise.resolve(indexes[name]) : load(name, "data/" + name + "/index.js");
}
function get_chunk(name, k) {
    var key = name + "/" + k;
    if (!chunks.has(key)) return load(key, "data/" + name + "/" + k + ".js");
    var kept = chunks.get(key);
    chunks.delete(key);
    chunks.set(key, kept);
    return Promise.resolve(kept);
}
window.report_index = function (data) {
    indexes[data.name] = data;
    if (waiting[data.name]) waiting[data.name].done(data);
};
window.report_chunk = function (data) {
    var key = data.name + "/" + data.chunk;
    chunks.set(key, data.rows);
    if (chunks.size > KEEP) chunks.delete(chunks.keys().next().value);
    if (waiting[key]) waiting[key].done(data.rows);
};

/* ---- answers: choosing -------------------------------------------------------------------------- */

function choose(id, pairs) {
    return el("select", { id: id }, pairs.map(function (p) { return el("option", { value: p[0] }, [p[1]]); }));
}
var OUTCOMES = [
    ["all", "all", function () { return true; }],
    ["a-right", "A right", function (a) { return a !== null && a >= 1; }],
    ["a-wrong", "A wrong", function (a) { return a !== null && a <= 0; }],
    ["b-right", "B right", function (a, b) { return b !== null && b >= 1; }],
    ["b-wrong", "B wrong", function (a, b) { return b !== null && b <= 0; }],
    ["partly", "A or B partly right", function (a, b) { return (a > 0 && a < 1) || (b > 0 && b < 1); }],
    ["flipped", "flipped: one is better", function (a, b) { return a !== null && b !== null && a !== b; }],
    ["b-better", "flipped: B is better", function (a, b) { return a !== null && b !== null && b > a; }],
    ["a-better", "flipped: A is better", function (a, b) { return a !== null && b !== null && a > b; }],
    ["both-right", "both right", function (a, b) { return a !== null && b !== null && a >= 1 && b >= 1; }],
    ["both-wrong", "both wrong", function (a, b) { return a !== null && b !== null && a <= 0 && b <= 0; }],
    ["unscored", "A or B without a score", function (a, b) { return a === null || b === null; }],
];
var ui = {}, found = [], page = 0, token = 0;

function matches(row, needle) {
    function has(t) { return t && t.toLowerCase().indexOf(needle) >= 0; }
    return has(row.id) || has(row.question) || has(row.reference) || row.answers.some(has) ||
        row.replies.some(function (r) { return has(r.text) || r.judge.some(function (j) { return has(j.text); }); });
}
function voice_of(index, side) {
    var v = index.voices.find(function (x) { return x.side === side; });
    return v ? v.worth : null;
}
function by_outcome(index) {
    var rule = OUTCOMES.find(function (o) { return o[0] === ui.outcome.value; })[2], category = ui.category.value, rows = [];
    var a = voice_of(index, +ui.a.value), b = voice_of(index, +ui.b.value);
    for (var i = 0; i < index.category.length; i++)
        if ((category === "" || index.category[i] === +category) && rule(a ? a[i] : null, b ? b[i] : null)) rows.push(i);
    return rows;
}
function fail(error) { ui.count.textContent = error.message; }

/* Filters at once by what the index knows; text is looked for chunk by chunk, and found ones show as they
 * come. A newer search ends an older one. */
function search() {
    var mine = ++token, name = ui.set.value, needle = ui.text.value.trim().toLowerCase();
    page = 0;
    get_index(name).then(function (index) {
        if (mine !== token) return;
        var rows = by_outcome(index);
        if (!needle) { found = rows; ui.busy = false; return show_page(); }
        var todo = new Map(), hits = [], seen = 0;
        rows.forEach(function (i) {
            var k = Math.floor(i / S.chunk);
            if (!todo.has(k)) todo.set(k, []);
            todo.get(k).push(i);
        });
        var keys = Array.from(todo.keys()), next = 0;
        found = [];
        ui.busy = true;
        show_page();
        function one() {
            if (mine !== token || next >= keys.length) return;
            var k = keys[next++];
            return get_chunk(name, k).then(function (data) {
                if (mine !== token) return;
                todo.get(k).forEach(function (i) { if (matches(data[i % S.chunk], needle)) hits.push(i); });
                seen++;
                var more = hits.length > found.length && found.length < PAGE, last = seen === keys.length;
                if (last || more || seen % 20 === 0) found = hits.sort(function (x, y) { return x - y; }).slice();
                ui.busy = !last;
                if (last || more) show_page();
                else if (seen % 20 === 0) show_count(seen / keys.length);
                return one();
            });
        }
        if (!keys.length) { ui.busy = false; return show_page(); }
        var runs = [];
        for (var n = 0; n < AT_ONCE; n++) runs.push(one());
        return Promise.all(runs);
    }).catch(fail);
}
function show_count(share) {
    ui.count.textContent = found.length.toLocaleString("en") + (found.length === 1 ? " question" : " questions") +
        (ui.busy ? " so far" + (share ? ", " + Math.round(share * 100) + " % searched" : ", searching") : "");
}
function show_page() {
    var mine = token, name = ui.set.value, first = page * PAGE, rows = found.slice(first, first + PAGE);
    var last = Math.max(1, Math.ceil(found.length / PAGE));
    show_count();
    ui.where.textContent = "Page " + (page + 1) + " of " + last;
    ui.previous.disabled = page === 0;
    ui.next.disabled = page + 1 >= last;
    return Promise.all(rows.map(function (i) {
        return get_chunk(name, Math.floor(i / S.chunk)).then(function (data) { return data[i % S.chunk]; });
    })).then(function (data) {
        if (mine === token && first === page * PAGE && name === ui.set.value)
            ui.list.replaceChildren.apply(ui.list, data.map(function (row) { return card(name, row); }));
    }).catch(fail);
}

/* ---- answers: one question ---------------------------------------------------------------------- */

function verdict(worth) {
    if (worth === null) return el("span", { "class": "verdict" }, ["no score"]);
    if (worth === 1) return el("span", { "class": "verdict right" }, ["✓ right"]);
    if (worth === 0) return el("span", { "class": "verdict wrong" }, ["✗ wrong"]);
    return el("span", { "class": "verdict" }, ["score " + figure(worth, 2)]);
}
function folded(title, text) {
    return el("details", {}, [el("summary", {}, [title]), el("div", { "class": "text" }, [text])]);
}
function reply_box(r, own_prompt) {
    return el("div", { "class": "reply " + series(r.side) }, [
        el("h4", {}, [el("span", {}, [S.sides[r.side].title]), verdict(r.worth)]),
        el("div", { "class": "text" }, [r.text !== null ? r.text === "" ? "(an empty reply)" : r.text
                                        : r.asked ? "(failed: there is no reply)" : "(not asked)"]),
        own_prompt ? folded("Its prompt", r.prompt) : null].concat(r.judge.map(function (j) {
            return folded("Judge" + (j.pass ? ", pass " + (j.pass + 1) : "") + (j.attempt ? ", attempt " + (j.attempt + 1) : ""), j.text);
        })));
}
function count_answers(answers) {
    var n = new Map();
    answers.forEach(function (a) { n.set(a, (n.get(a) || 0) + 1); });
    return Array.from(n).sort(function (x, y) { return y[1] - x[1]; })
        .map(function (x) { return x[0] + (x[1] > 1 ? " ×" + x[1] : ""); }).join(", ");
}
function card(name, row) {
    var prompts = row.replies.map(function (r) { return r.prompt; }).filter(function (p) { return p !== null; });
    var one = prompts.length === row.replies.length && prompts.every(function (p) { return p === prompts[0]; });
    var a = +ui.a.value, b = +ui.b.value;
    var order = row.replies.slice().sort(function (x, y) {
        return (x.side !== a) - (y.side !== a) || (x.side !== b) - (y.side !== b) || x.side - y.side;
    });
    return el("article", {}, [
        el("h3", {}, [row.id, row.category ? el("span", { "class": "about" }, [" " + row.category]) : null]),
        el("div", { "class": "question" + (row.image ? "" : " bare") }, [
            row.image ? el("a", { href: "images/" + name + "/" + row.image }, [el("img", { src: "images/" + name + "/" + row.image,
                loading: "lazy", alt: "Picture of question " + row.id })]) : null,
            el("div", {}, [el("div", { "class": "text" }, [row.question]),
                el("p", {}, ["Reference: ", el("strong", { "class": "text" }, [row.answers.length ? count_answers(row.answers) :
                    row.reference === null ? "hidden" : row.reference])]),
                one ? folded("Exact prompt", prompts[0]) : prompts.length ? null :
                    el("p", { "class": "about" }, ["The prompt cannot be shown: its set is not at hand."])])]),
        el("div", { "class": "replies" }, order.map(function (r) { return reply_box(r, !one && r.prompt !== null); }))]);
}

function new_set() {
    get_index(ui.set.value).then(function (index) {
        ui.category.replaceChildren.apply(ui.category, [el("option", { value: "" }, ["all"])].concat(
            index.categories.map(function (c, i) { return el("option", { value: i }, [c || "(none)"]); })));
        search();
    }).catch(fail);
}
function draw_answers() {
    var sets = S.sets.filter(function (s) { return s.answers; }), timer = 0;
    if (!sets.length)
        return part("answers").appendChild(notes(["No answers: the benchmarks' question files were not there when this report was made."]));
    var sides = all_sides().map(function (i) { return [i, S.sides[i].title]; });
    ui = { set: choose("set", sets.map(function (s) { return [s.name, s.title + " (" + s.answers + ")"]; })),
           category: choose("category", [["", "all"]]), a: choose("side-a", sides), b: choose("side-b", sides),
           outcome: choose("outcome", OUTCOMES), text: el("input", { id: "text", type: "search", autocomplete: "off" }),
           count: el("p", { id: "count", role: "status" }), where: el("span", { id: "where" }), list: el("div", { id: "list" }),
           previous: el("button", { type: "button" }, ["Previous"]), next: el("button", { type: "button", id: "next" }, ["Next"]) };
    if (sides.length > 1) ui.b.value = "1";
    part("answers").appendChild(el("form", { role: "search" }, [
        el("label", {}, ["Benchmark", ui.set]), el("label", {}, ["Category", ui.category]), el("label", {}, ["Model A", ui.a]),
        el("label", {}, ["Model B", ui.b]), el("label", {}, ["Outcome", ui.outcome]),
        el("label", {}, ["Text in question or reply", ui.text])]));
    [ui.count, ui.list, el("div", { "class": "pager" }, [ui.previous, ui.where, ui.next])].forEach(function (x) { part("answers").appendChild(x); });
    part("answers").querySelector("form").addEventListener("submit", function (event) { event.preventDefault(); search(); });
    ui.set.addEventListener("change", new_set);
    [ui.category, ui.a, ui.b, ui.outcome].forEach(function (x) { x.addEventListener("change", search); });
    ui.text.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(search, 250); });
    function turn(by) { page += by; show_page(); ui.count.scrollIntoView(); }
    ui.previous.addEventListener("click", function () { turn(-1); });
    ui.next.addEventListener("click", function () { turn(1); });
    new_set();
}

window.report_summary = function (summary) {
    S = summary;
    part("made").textContent = "From " + S.store + ", " + S.made + ", by llava-eval " + S.program + ".";
    draw_scores();
    draw_profile();
    draw_categories();
    draw_comparison();
    draw_answers();
};
}());
