// Draws every figure.headspec of the notebook, those that are there and those that come: an output holds data alone, and the
// scripts stand in the notebook once.
(function () {
  "use strict";
  if (window.headspecRuntime) { return; }
  window.headspecRuntime = true;

  function isDark(figure) {
    // of the notebook where it says so, else of the system
    var theme = document.body.dataset.jpThemeLight || document.body.dataset.vscodeThemeKind;
    if (theme === "false" || theme === "vscode-high-contrast" || (theme && theme.indexOf("dark") >= 0)) { return true; }
    return theme ? false : window.matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function draw(figure) {
    var holder = figure.querySelector('script[type="application/json"]');
    if (figure.dataset.state || !holder) { return; }
    figure.dataset.state = "drawing";
    var payload;
    try { payload = JSON.parse(holder.textContent); } catch (error) { figure.dataset.state = "failed"; return; }
    var dark = payload.dark ? isDark(figure) : payload.night;
    var spec = payload.dark && dark ? Object.assign(payload.spec, payload.dark) : payload.spec;
    var host = document.createElement("div");
    var image = figure.querySelector("img");
    figure.insertBefore(host, figure.firstChild);
    vegaEmbed(host, spec, {
      ast: true, // expressions are interpreted: the page may not make code of text
      actions: false,
      renderer: payload.renderer,
      tooltip: { theme: dark ? "dark" : "light", formatTooltip: headspecTooltip }
    }).then(function (result) {
      figure.dataset.state = "drawn";
      figure.headspecView = result.view;
      if (image) { image.hidden = true; }
    }).catch(function () {
      // the picture stays
      host.remove();
      figure.dataset.state = "failed";
    });
  }

  function all() { document.querySelectorAll("figure.headspec").forEach(draw); }
  new MutationObserver(all).observe(document.documentElement, { childList: true, subtree: true });
  all();
})();
