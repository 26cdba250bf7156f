function headspecEscaped(value) {
  var text = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.replace(/[&<>"']/g, function (sign) { return "&#" + sign.charCodeAt(0) + ";"; });
}

// every key is a line of text: the tooltip's own format would fetch what stands under "image"
function headspecTooltip(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) { return headspecEscaped(value); }
  var rows = Object.keys(value).map(function (key) {
    return '<tr><td class="key">' + headspecEscaped(key) + '</td><td class="value">' + headspecEscaped(value[key]) + "</td></tr>";
  });
  return "<table><tbody>" + rows.join("") + "</tbody></table>";
}
