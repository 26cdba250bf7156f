/* Loads the weights that an explorer asks for: one file per head, and one per row of queries. Classic scripts, because a
   page opened from disk may not fetch. Call headspecServe(view, folder) once the view is there. */
(function () {
  "use strict";
  var about = __ABOUT__;
  var shared = window.headspecAnswers = window.headspecAnswers || { known: {}, waiting: {} };

  window.headspecAnswer = function (name, value) {
    shared.known[name] = value;
    (shared.waiting[name] || []).forEach(function (then) { then(value); });
    delete shared.waiting[name];
  };

  function ask(folder, file, then) {
    var name = about.key + "/" + file;
    if (name in shared.known) { then(shared.known[name]); return; }
    if (shared.waiting[name]) { shared.waiting[name].push(then); return; }
    shared.waiting[name] = [then];
    var script = document.createElement("script");
    script.src = folder + file + ".js";
    script.onerror = function () {
      delete shared.waiting[name]; // a later pick may try again
      console.error("headspec: " + script.src + " could not be loaded");
    };
    document.head.appendChild(script);
  }

  function first(picked, field) {
    return picked && Array.isArray(picked[field]) ? picked[field][0] : null;
  }

  function serve(view, folder, select) {
    var name = select || about.select;
    var latest = { head: 0, pair: 0 };

    function head(_, picked) {
      var layer = first(picked, "layer"), number = first(picked, "head"), turn = ++latest.head;
      if (layer === null || number === null) { return; }
      ask(folder, "L" + layer + "H" + number, function (value) {
        if (turn === latest.head) { view.signal(name + "_served", value).runAsync(); }
      });
    }

    function pair(_, picked) {
      var query = first(picked, "query"), key = first(picked, "key"), turn = ++latest.pair;
      if (query === null || key === null) { return; }
      ask(folder, "Q" + Math.floor(query / about.block[0]), function (rows) {
        var column = Math.floor(key / about.block[1]);
        var q = rows.map(function (row) { return column < row.length ? row[column] : null; });
        if (turn === latest.pair) {
          view.signal(name + "_served_pair", { query: query, key: key, q: q }).runAsync();
        }
      });
    }

    view.addSignalListener(name, head);
    view.addSignalListener(name + "_pair", pair);
  }

  // several explorers on one page: each answers for the selection it was made for
  var others = window.headspecServe;
  window.headspecServe = function (view, folder, select) {
    if (others && select && select !== about.select) { others(view, folder, select); return; }
    serve(view, folder, select);
  };
})();
