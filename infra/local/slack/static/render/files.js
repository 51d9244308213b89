/** The files of a message: pictures as prints, anything else as a link to download. */
import { h, icon, safeAddress } from "./dom.js";
import { byteSize, count } from "./format.js";
import { picture } from "./picture.js";

export function renderFiles(files, scope) {
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  return h("div", { class: "files" },
    pictures.length ? h("div", { class: pictures.length > 1 ? "prints prints-many" : "prints", role: "group",
      "aria-label": count(pictures.length, "picture") }, pictures.map((file) => print(file, scope))) : null,
    others.map(attachment));
}

function isPicture(file) {
  return file.mimetype?.startsWith("image/") || /\.(png|jpe?g|gif|webp)$/i.test(file.name ?? "");
}

function print(file, scope) {
  if (!file.ready || !safeAddress(file.url)) return pending(file);
  const { name, title, width, height, size, url } = file;
  return picture({ fileId: file.id, address: url, title: title || name, alt: title || name, name, width, height, size }, scope);
}

function pending(file) {
  return h("figure", { class: "print print-pending", "data-file-id": file.id, "aria-busy": "true" },
    h("div", { class: "print-blank", role: "img", "aria-label": `${file.title || file.name} is still being prepared` }),
    h("figcaption", {}, file.title || file.name));
}

function attachment(file) {
  const href = file.ready ? safeAddress(file.url) : null;
  const words = [icon("file"), h("span", { class: "attachment-name" }, file.title || file.name),
    h("span", { class: "faint" }, href ? byteSize(file.size) : "being prepared")];
  const attributes = { class: "attachment", "data-file-id": file.id };
  return href ? h("a", { ...attributes, href, download: file.name }, words) : h("span", attributes, words);
}
