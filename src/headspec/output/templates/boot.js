(function () {
  "use strict";
  var root = document.documentElement;
  var place = document.getElementById("chart");
  var trouble = document.getElementById("error");
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  var shown = null;
  var turn = 0;

  function fail(error) {
    // as text: a message can quote what the data says
    trouble.textContent = "The chart could not be drawn: " + (error && error.message ? error.message : error);
    trouble.hidden = false;
    root.dataset.state = "failed";
  }

  function draw() {
    try {
      var payload = JSON.parse(document.getElementById("spec").textContent);
      var isDark = payload.dark ? system.matches : payload.night;
      var mine = ++turn;
      var options = {
        ast: true, // expressions are interpreted: the page may not make code of text
        actions: false,
        renderer: payload.renderer,
        tooltip: { theme: isDark ? "dark" : "light", formatTooltip: headspecTooltip }
      };
      var spec = payload.dark && isDark ? Object.assign(payload.spec, payload.dark) : payload.spec;
      var host = place.appendChild(document.createElement("div"));
      vegaEmbed(host, spec, options).then(function (result) {
        if (mine !== turn) { host.remove(); return result.finalize(); }
        if (shown) { shown.finalize(); }
        shown = result;
        place.replaceChildren(host);
        window.headspec = { view: result.view };
        root.dataset.state = "drawn";
      }).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  draw();
  system.addEventListener("change", function () {
    if (JSON.parse(document.getElementById("spec").textContent).dark) { draw(); }
  });
})();
