'use strict';
(() => {
  const ANSWER_WITHIN_MILLISECONDS = 8000;
  const COPIED_FOR_MILLISECONDS = 2000;
  const main = document.getElementById('content');
  const live = document.getElementById('live');
  const pause = document.getElementById('pause');
  const asOf = document.getElementById('as-of');

  // What a screen reader is told: only what is news, never each refresh.
  const say = (text, alarm) => {
    live.classList.toggle('alarm', alarm);
    if (live.textContent !== text) live.textContent = text;
  };

  // Buttons that do nothing without this script stand hidden in the page.
  const enable = (root) => {
    for (const button of root.querySelectorAll('button[data-copy][hidden]')) button.hidden = false;
  };

  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || '' : '');
  const same = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName
    && keyOf(one) === keyOf(other);

  // Makes `old` like `fresh` where they differ. What stays is not moved, so that focus, selection and scrolling stay.
  const renew = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      let found = at;
      while (found !== null && !same(found, child)) found = found.nextSibling;
      if (found === null) {
        old.insertBefore(document.importNode(child, true), at);
        continue;
      }
      while (at !== found) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      renew(found, child);
      at = found.nextSibling;
    }
    while (at !== null) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const versions = (page) => page.querySelector('link[rel="stylesheet"]').getAttribute('href');

  const take = (page) => {
    // Another version of the daemon has another script.
    if (versions(page) !== versions(document)) {
      location.reload();
      return;
    }
    const [before, after] = [document, page].map((one) => one.querySelector('h1').textContent.trim());
    enable(page);
    const focused = document.activeElement;
    renew(main, page.getElementById('content'));
    if (focused !== null && !focused.isConnected && keyOf(focused) !== '') {
      const again = [...main.querySelectorAll('[id], [data-key]')].find((one) => same(one, focused));
      if (again !== undefined) again.focus({ preventScroll: true });
    }
    renew(asOf, page.getElementById('as-of'));
    document.title = page.title;
    const icon = page.querySelector('link[rel="icon"]').getAttribute('href');
    document.querySelector('link[rel="icon"]').setAttribute('href', icon);
    const recovered = document.body.classList.contains('stale');
    document.body.classList.remove('stale');
    if (recovered) say('The daemon answers again. ' + after, false);
    else if (before !== after) say(after, false);
  };

  const miss = (why) => {
    document.body.classList.add('stale');
    document.title = 'No answer – rosterd';
    say(`No answer since ${asOf.textContent}: ${why}. What is shown is from then.`, true);
  };

  const refreshing = (seconds) => {
    let timer = 0;
    let busy = false;
    let paused = false;
    const later = () => {
      clearTimeout(timer);
      if (!document.hidden && !paused) timer = setTimeout(refresh, seconds * 1000);
    };
    const refresh = async () => {
      if (busy) return;
      busy = true;
      try {
        const signal = AbortSignal.timeout(ANSWER_WITHIN_MILLISECONDS);
        const answer = await fetch(location.href, { cache: 'no-store', credentials: 'omit', redirect: 'error', signal });
        if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), 'text/html'));
        else miss(`the daemon answered with ${answer.status}`);
      } catch {
        miss('the daemon does not answer');
      }
      busy = false;
      later();
    };
    document.addEventListener('visibilitychange', () => {
      if (document.hidden || paused) clearTimeout(timer);
      else refresh();
    });
    pause.hidden = false;
    pause.addEventListener('click', () => {
      paused = !paused;
      pause.setAttribute('aria-pressed', String(paused));
      if (paused) clearTimeout(timer);
      else refresh();
    });
    later();
  };

  document.addEventListener('click', async (event) => {
    const button = event.target instanceof Element ? event.target.closest('button[data-copy]') : null;
    if (button === null) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      if (!document.body.classList.contains('stale')) say(`Copied: ${button.dataset.copy}`, false);
      button.classList.add('copied');
      setTimeout(() => button.classList.remove('copied'), COPIED_FOR_MILLISECONDS);
    } catch {
      // Not allowed here: the command is selected instead, to be copied by hand.
      getSelection().selectAllChildren(button.parentElement.querySelector('code'));
    }
  });

  enable(document);
  if (main.dataset.refresh) refreshing(Number(main.dataset.refresh));
})();
