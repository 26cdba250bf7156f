(function () {
  "use strict";
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");

  // --- theme: follows the system, or the reader's choice -------------------------------------------------------------
  function stored() {
    try { return localStorage.getItem("headspec-theme") || "auto"; } catch (error) { return "auto"; }
  }
  function store(choice) {
    try { localStorage.setItem("headspec-theme", choice); } catch (error) { /* a file page may not store */ }
  }
  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }
  function applyTheme(choice) {
    if (choice === "auto") { delete root.dataset.theme; } else { root.dataset.theme = choice; }
    document.querySelectorAll("[data-theme-choice]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    });
    drawAll();
  }
  document.querySelectorAll("[data-theme-choice]").forEach(function (button) {
    button.addEventListener("click", function () { store(button.dataset.themeChoice); applyTheme(button.dataset.themeChoice); });
  });
  document.querySelectorAll(".themes").forEach(function (group) { group.hidden = false; });
  system.addEventListener("change", function () { if (!root.dataset.theme) { drawAll(); } });

  // --- charts ---------------------------------------------------------------------------------------------------------
  function escaped(value) {
    var text = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
    return text.replace(/[&<>"']/g, function (sign) { return "&#" + sign.charCodeAt(0) + ";"; });
  }
  // every key is a line of text: the tooltip's own format would fetch what stands under "image"
  function tooltip(value) {
    if (value === null || typeof value !== "object" || Array.isArray(value)) { return escaped(value); }
    var rows = Object.keys(value).map(function (key) {
      return '<tr><td class="key">' + escaped(key) + '</td><td class="value">' + escaped(value[key]) + "</td></tr>";
    });
    return "<table><tbody>" + rows.join("") + "</tbody></table>";
  }
  var shown = new Map();
  function payloadOf(id) { return JSON.parse(document.getElementById(id).textContent); }
  function draw(place) {
    var payload = payloadOf(place.dataset.spec);
    var dark = isDark();
    var spec = dark ? Object.assign(payload.spec, payload.dark) : payload.spec;
    var host = document.createElement("div");
    var turn = {};
    place.turn = turn;
    place.appendChild(host);
    return vegaEmbed(host, spec, {
      ast: true, // expressions are interpreted: the page may not make code of text
      actions: false,
      renderer: payload.renderer,
      tooltip: { theme: dark ? "dark" : "light", formatTooltip: tooltip }
    }).then(function (result) {
      if (place.turn !== turn) { host.remove(); result.finalize(); return; }
      if (shown.has(place)) { shown.get(place).finalize(); }
      shown.set(place, result);
      place.replaceChildren(host);
      return follow(result.view);
    }).catch(function (error) {
      var trouble = place.parentNode.querySelector(".error");
      trouble.textContent = "The chart could not be drawn: " + (error && error.message ? error.message : error);
      trouble.hidden = false;
      throw error;
    });
  }
  function views() { return Array.from(shown.values()).map(function (result) { return result.view; }); }
  function drawAll() {
    var places = Array.from(document.querySelectorAll("[data-spec]"));
    Promise.all(places.map(draw)).then(function () {
      window.headspec = { view: views()[0], views: views() };
      if (!picked && views().length > 1) { // a chart that opens on a head says so to the others
        show(views().map(pickOf).find(Boolean));
      }
      root.dataset.state = "drawn";
    }).catch(function () { root.dataset.state = "failed"; });
  }

  // --- a head that is picked in one chart is picked in all that know it ------------------------------------------------
  var PICK = "head_pick";
  var picked = null; // [layer, head]: what all charts show, also after they are drawn anew in another theme
  function pickOf(view) {
    var tuple;
    try { tuple = view.data(PICK + "_store")[0]; } catch (error) { return undefined; } // a chart without a pick
    if (!tuple) { return null; }
    var found = {};
    tuple.fields.forEach(function (field, place) { found[field.field] = [].concat(tuple.values[place])[0]; });
    return [found.layer, found.head];
  }
  function same(one, other) { return one === other || Boolean(one && other && one[0] === other[0] && one[1] === other[1]); }
  function setPick(view, pick) {
    var old = pickOf(view);
    if (old === undefined || same(old, pick)) { return Promise.resolve(view); } // compared first: charts must not answer each other for ever
    var fields = [{ type: "E", field: "layer" }, { type: "E", field: "head" }];
    view.data(PICK + "_store", [{ unit: "", fields: fields, values: pick.slice() }]);
    return view.runAsync();
  }
  function show(pick) {
    if (!pick) { return; }
    picked = pick;
    document.querySelectorAll(".picked").forEach(function (place) {
      place.textContent = "Picked: L" + pick[0] + " H" + pick[1] + ".";
    });
    views().forEach(function (view) { setPick(view, pick); });
  }
  function follow(view) {
    if (pickOf(view) === undefined) { return view; }
    var started = picked ? setPick(view, picked) : Promise.resolve(view);
    return started.then(function () {
      view.addSignalListener(PICK, function () {
        setTimeout(function () { // after the chart has finished the run that this is part of
          var pick = pickOf(view);
          if (!pick || same(pick, picked)) { return; }
          show(pick);
        }, 0);
      });
      return view;
    });
  }
  document.querySelectorAll(".hint").forEach(function (hint) { hint.hidden = false; });
  applyTheme(stored());

  // --- tabs: sections without scripts, tabs with them -------------------------------------------------------------------
  document.querySelectorAll(".tabs").forEach(function (tabs) {
    var sections = Array.from(tabs.querySelectorAll(":scope > section"));
    var list = document.createElement("div");
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Sources");
    var buttons = sections.map(function (section, place) {
      var button = document.createElement("button");
      button.type = "button";
      button.id = "tab-" + section.id;
      button.textContent = section.querySelector("h2").textContent;
      button.setAttribute("role", "tab");
      button.setAttribute("aria-controls", section.id);
      section.setAttribute("role", "tabpanel");
      section.setAttribute("aria-labelledby", button.id);
      button.addEventListener("click", function () { choose(place); });
      button.addEventListener("keydown", function (event) {
        var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        var next = event.key === "Home" ? 0 : event.key === "End" ? sections.length - 1 : step ? (place + step + sections.length) % sections.length : -1;
        if (next >= 0) { event.preventDefault(); choose(next); buttons[next].focus(); }
      });
      list.appendChild(button);
      return button;
    });
    function choose(chosen) {
      sections.forEach(function (section, place) {
        section.hidden = place !== chosen;
        buttons[place].setAttribute("aria-selected", String(place === chosen));
        buttons[place].tabIndex = place === chosen ? 0 : -1;
      });
    }
    tabs.insertBefore(list, tabs.firstChild);
    tabs.classList.add("live-tabs");
    choose(0);
  });

  // --- copy -------------------------------------------------------------------------------------------------------------
  document.querySelectorAll(".copyable").forEach(function (block) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      var code = block.querySelector("code");
      var text = block.dataset.copySpec ? JSON.stringify(payloadOf(block.dataset.copySpec).spec, null, 1) : code.textContent;
      function done(word) {
        button.textContent = word;
        setTimeout(function () { button.textContent = "Copy"; }, 1500);
      }
      function bySelection() {
        var range = document.createRange();
        range.selectNodeContents(code);
        var selection = window.getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        done(document.execCommand("copy") ? "Copied" : "Press Ctrl+C");
      }
      if (navigator.clipboard) {
        navigator.clipboard.writeText(text).then(function () { done("Copied"); }, bySelection);
      } else { bySelection(); }
    });
    block.appendChild(button);
  });

  // --- search -----------------------------------------------------------------------------------------------------------
  var form = document.querySelector(".search");
  if (form && window.headspecIndex) {
    var query = document.getElementById("query");
    var groups = Array.from(form.querySelectorAll("[data-filter]"));
    var items = new Map(Array.from(document.querySelectorAll(".cards > li")).map(function (item) { return [item.dataset.name, item]; }));
    var status = document.querySelector(".count");
    var none = document.querySelector(".none");
    var chosen = {}; // filter -> value
    var filter = function () {
      var words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
      var number = 0;
      window.headspecIndex.forEach(function (entry) {
        var fits = Object.keys(chosen).every(function (name) { return !chosen[name] || entry[name] === chosen[name]; }) &&
          words.every(function (word) { return entry.words.indexOf(word) >= 0; });
        items.get(entry.name).hidden = !fits;
        number += fits ? 1 : 0;
      });
      status.textContent = number === items.size ? "" : number + " of " + items.size + " charts";
      none.hidden = number > 0;
    };
    query.addEventListener("input", filter);
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    var choose = function (group, value) {
      chosen[group.dataset.filter] = value;
      group.querySelectorAll("[data-value]").forEach(function (chip) {
        chip.setAttribute("aria-pressed", String(chip.dataset.value === value));
      });
    };
    groups.forEach(function (group) {
      group.querySelectorAll("[data-value]").forEach(function (chip) {
        chip.addEventListener("click", function () { choose(group, chip.dataset.value); filter(); });
      });
    });
    none.querySelector(".reset").addEventListener("click", function () {
      query.value = "";
      groups.forEach(function (group) { choose(group, ""); });
      filter();
      query.focus();
    });
    document.addEventListener("keydown", function (event) {
      if (event.key === "/" && document.activeElement !== query) { event.preventDefault(); query.focus(); }
    });
    form.hidden = false;
    filter();
  }
})();
