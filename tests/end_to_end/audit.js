// Looks at the page as who cannot see well, or uses no mouse: every text has a contrast of 4.5
// (WCAG 2.1, 1.4.3; 3 where it is large), everything that can be pressed has a name and is reached
// by the keyboard, and no line of what can be done is cut. Returns what is wrong, in sentences.
(() => {
  const wrong = [];
  const parse = (text) => {
    const parts = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    // `color(srgb r g b / a)` is in parts of one.
    const scale = text.startsWith("color(") ? 255 : 1;
    const [r, g, b] = parts.slice(0, 3).map((each) => each * scale);
    return { rgb: [r, g, b], alpha: parts[3] ?? 1 };
  };
  const over = ({ rgb, alpha }, below) =>
    rgb.map((each, place) => each * alpha + below[place] * (1 - alpha));
  const start = (node) => node.outerHTML.slice(0, 60);
  const ground = (node) => {
    const grounds = [];
    for (let each = node; each; each = each.parentElement) grounds.push(getComputedStyle(each));
    let rgb = [22, 25, 28];
    for (const style of grounds.reverse()) {
      rgb = over(parse(style.backgroundColor), rgb);
      // Of a gradient the lightest is the worst for light text.
      for (const [color] of style.backgroundImage.matchAll(/(rgba?|color)\([^)]*\)/g)) {
        const on = over(parse(color), rgb);
        if (luminance(on) > luminance(rgb)) rgb = on;
      }
    }
    return rgb;
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((each) => {
      const part = each / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const node = texts.currentNode.parentElement;
    const unread = node.closest("script, noscript, .skip, .unseen, option, :disabled");
    if (!text || unread || !seen(node)) continue;
    const style = getComputedStyle(node);
    const below = ground(node);
    const [one, two] = [luminance(over(parse(style.color), below)), luminance(below)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (contrast >= needed) continue;
    wrong.push(`"${text.slice(0, 30)}" has a contrast of ${contrast.toFixed(2)}`);
  }
  for (const node of document.querySelectorAll("button, input, select, textarea, [role=listbox]")) {
    const label = node.labels?.[0]?.textContent || node.getAttribute("aria-label") ||
      node.getAttribute("aria-labelledby") || node.textContent.trim();
    if (!label) wrong.push(`${start(node)} has no name`);
    const reached = node.tabIndex >= 0 || node.getAttribute("role") === "tab";
    if (!reached) wrong.push(`${start(node)} is not reached by the keyboard`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids)) {
    if (ids.filter((each) => each === id).length > 1) wrong.push(`two elements are called ${id}`);
  }
  for (const node of document.querySelectorAll("[aria-labelledby], [aria-activedescendant]")) {
    for (const name of ["aria-labelledby", "aria-activedescendant"]) {
      const id = node.getAttribute(name);
      if (id && !document.getElementById(id)) wrong.push(`${name}=${id} is nowhere`);
    }
  }
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth + 1) wrong.push("the page is wider than the screen");
  for (const node of document.querySelectorAll(".keys, .tabs, .steps, .bar, .facts, .panel-head")) {
    const cut = seen(node) && node.scrollWidth > node.clientWidth + 1;
    if (cut) wrong.push(`.${node.className} is cut: ${node.textContent.trim().slice(0, 60)}`);
  }
  return wrong;
})()
