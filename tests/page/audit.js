// What is wrong with the page as it is shown now: colours as the browser computed them, names, headings, width.
const wrong = [];
const parse = (colour) => {
  const numbers = colour.match(/[\d.]+/g).map(Number);
  return { r: numbers[0], g: numbers[1], b: numbers[2], a: numbers.length > 3 ? numbers[3] : 1 };
};
const over = (top, below) => {
  const mix = (one, other) => one * top.a + other * (1 - top.a);
  return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
};
const luminance = ({ r, g, b }) => {
  const [x, y, z] = [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const contrast = (one, other) => {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
// What the browser paints where nothing else is.
const canvas = (() => {
  const probe = document.createElement('div');
  document.body.append(probe);
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  probe.remove();
  return matchMedia('(prefers-color-scheme: dark)').matches && scheme.includes('dark')
    ? { r: 18, g: 18, b: 18, a: 1 } : { r: 255, g: 255, b: 255, a: 1 };
})();
const ancestors = (element) => {
  const all = [];
  for (let one = element; one !== null; one = one.parentElement) all.push(one);
  return all;
};
const background = (element) => {
  if (element instanceof SVGTextElement) return parse(getComputedStyle(element.parentElement.querySelector('rect')).fill);
  return ancestors(element).reverse()
    .reduce((below, one) => over(parse(getComputedStyle(one).backgroundColor), below), canvas);
};
const isSeen = (element) => {
  const style = getComputedStyle(element);
  const { width, height } = element.getBoundingClientRect();
  return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && width > 1 && height > 1
    && style.clipPath === 'none';
};
const name = (element) => `<${element.localName} class="${element.getAttribute('class') ?? ''}"> "${element.textContent.trim().slice(0, 40)}"`;

let texts = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (walker.currentNode.nodeValue.trim() === '' || element.closest('script, style, title, option') !== null) continue;
  if (!ancestors(element).every((one) => one === document.documentElement || isSeen(one))) continue;
  texts += 1;
  const style = getComputedStyle(element);
  const colour = parse(element instanceof SVGTextElement ? style.fill : style.color);
  const back = background(element);
  const found = contrast(over(colour, back), back);
  if (found < 4.5) wrong.push(`contrast ${found.toFixed(2)} of ${name(element)}`);
}
for (const field of document.querySelectorAll('input, select, textarea')) {
  if (field.type !== 'hidden' && field.labels.length === 0) wrong.push(`no label: ${name(field)}`);
  if (field.placeholder) {
    const colour = parse(getComputedStyle(field, '::placeholder').color);
    const back = background(field);
    const found = contrast(over(colour, back), back);
    if (found < 4.5) wrong.push(`contrast ${found.toFixed(2)} of the placeholder of ${field.name}`);
  }
}
const headings = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((one) => Number(one.localName[1]));
if (headings.filter((level) => level === 1).length !== 1 || headings[0] !== 1) wrong.push(`headings ${headings}`);
headings.forEach((level, index) => {
  if (index > 0 && level > headings[index - 1] + 1) wrong.push(`h${level} after h${headings[index - 1]}`);
});
for (const landmark of ['header', 'main']) {
  if (document.querySelectorAll(`body > ${landmark}`).length !== 1) wrong.push(`no ${landmark}`);
}
const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
if (new Set(ids).size !== ids.length) wrong.push('an id stands twice');
for (const table of document.querySelectorAll('table')) {
  const named = table.caption !== null || table.hasAttribute('aria-label') || table.previousElementSibling?.matches('h1, h2, h3, h4');
  if (!named) wrong.push('a table without a name');
  if ([...table.querySelectorAll('th')].some((head) => !head.hasAttribute('scope'))) wrong.push('a th without scope');
}
for (const target of document.querySelectorAll('a, button, input, select')) {
  const { width, height } = target.getBoundingClientRect();
  const inline = getComputedStyle(target).display === 'inline';
  const label = target.closest('label')?.getBoundingClientRect();
  // WCAG 2.2, 2.5.8: a link within a sentence is excepted.
  if (isSeen(target) && !inline && (label?.height ?? height) < 24) wrong.push(`${width}x${height}: ${name(target)}`);
}
if (document.documentElement.scrollWidth > document.documentElement.clientWidth) {
  const wide = [...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(name);
  wrong.push(`scrolls sideways: ${wide.slice(0, 3)}`);
}
return [texts, wrong];
