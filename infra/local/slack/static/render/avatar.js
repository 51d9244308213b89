import { h } from "./dom.js";

const HEX = /^#?([0-9a-f]{6})$/i;

/** A disc with a person's initial on their colour; an app gets a square one. Decoration: the name stands beside it. */
export function avatar(user) {
  const node = h("span", { class: user.is_bot ? "avatar avatar-app" : "avatar", "aria-hidden": "true" }, initial(user.name));
  const colour = HEX.exec(user.color ?? "")?.[1];
  if (colour) {
    node.style.setProperty("--avatar", `#${colour}`);
    node.style.setProperty("--avatar-ink", luminance(colour) > 0.18 ? "#14201b" : "#ffffff");
  }
  return node;
}

function initial(name) {
  return (Array.from(name.trim())[0] ?? "?").toUpperCase();
}

/** Relative luminance, WCAG 2: 0 black to 1 white. */
function luminance(hex) {
  const [red, green, blue] = [0, 2, 4].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
