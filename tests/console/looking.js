// What the tests of the console's looks measure in the page.

window.looking = (() => {
  const visible = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !element.closest(".unseen, .skip");
  const all = (selector) => [...document.querySelectorAll(selector)].filter(visible);
  const name = (element) => `${element.tagName.toLowerCase()}.${element.className?.baseVal ?? element.className}`;
  const described = (element) => `${name(element)} “${element.textContent.trim().slice(0, 40)}”`;
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());

  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [red, green, blue, alpha = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (alpha > 0) return [red, green, blue];
    }
    return [255, 255, 255];
  };

  /** Texts that are too faint: 4.5 to 1, large ones 3 to 1. */
  function faint() {
    return all("body *").filter(hasText).filter((element) => !element.disabled).map((element) => {
      const style = getComputedStyle(element);
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const found = ratio(numbers(style.color), ground(element));
      return found < (isLarge ? 3 : 4.5) ? `${described(element)} ${found.toFixed(2)}` : null;
    }).filter(Boolean);
  }

  /** Edges of controls, lines of charts and bars that cannot be told from what is around them: 3 to 1. */
  function faintShapes() {
    const edges = all("button:not(:disabled):not([role=tab]), select:not(:disabled), .drop, canvas[role=application]");
    const found = edges.map((element) => {
      const style = getComputedStyle(element);
      if (parseFloat(style.borderTopWidth) === 0) return null;
      const against = ratio(numbers(style.borderTopColor), ground(element.parentElement));
      return against < 3 ? `${described(element)} edge ${against.toFixed(2)}` : null;
    });
    const lines = all(".chart path, .bars .fill").map((element) => {
      const style = getComputedStyle(element);
      const colour = element.matches(".fill") ? style.fill : style.stroke;
      const against = ratio(numbers(colour), ground(element.closest(".card")));
      return against < 3 ? `${name(element)} ${against.toFixed(2)}` : null;
    });
    return [...found, ...lines].filter(Boolean);
  }

  const boxes = () =>
    all("main *, nav *, header *")
      .filter((element) => hasText(element) || element.matches("canvas, img, input, select, .chart > svg, .bars svg"))
      .filter((element) => !element.matches("option") && !element.closest("[role=tabpanel][hidden]"))
      .map((element) => [element, element.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && box.height > 0);

  /** Pairs that lie over one another. */
  function overlapping() {
    const found = [];
    const list = boxes().filter(([element]) => !element.closest(".bar"));
    list.forEach(([one, a], index) => {
      for (const [other, b] of list.slice(index + 1)) {
        if (one.contains(other) || other.contains(one)) continue;
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1.5 && down > 1.5) found.push(`${described(one)} / ${described(other)}`);
      }
    });
    return found;
  }

  /** What sticks out of the window and cannot be pushed into sight. */
  function outside() {
    return boxes()
      .filter(([element]) => !element.closest(".scroller, .tabs, .models ul"))
      .filter(([, box]) => box.left < -1 || box.right > innerWidth + 1)
      .map(([element]) => described(element));
  }

  const controls = () => all("a[href], button, input, select, canvas[tabindex], [tabindex='0']");

  /** Controls without a name, or too small for a finger (24 pixels, unless they stand in a line of text). */
  function poorControls() {
    return controls()
      .filter((element) => {
        const text = element.ariaLabel || element.textContent.trim() || element.labels?.length;
        const named = text || element.getAttribute("aria-labelledby");
        const box = element.closest("label")?.getBoundingClientRect() ?? element.getBoundingClientRect();
        return !named || ((box.height < 24 || box.width < 24) && !element.matches("p a"));
      })
      .map(described);
  }

  /** Controls that the Tab key should reach. */
  const reachable = () =>
    controls().filter((element) => !element.disabled && element.tabIndex >= 0).map((element) => described(element));

  /** The control that has the focus, and whether that can be seen. */
  function focused() {
    const element = document.activeElement;
    const shown = [element, element.closest("label")].some(
      (part) => part && getComputedStyle(part).outlineStyle !== "none" && parseFloat(getComputedStyle(part).outlineWidth) >= 2,
    );
    return [described(element), shown];
  }

  return { faint, faintShapes, overlapping, outside, poorControls, reachable, focused };
})();
