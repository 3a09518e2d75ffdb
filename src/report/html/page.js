'use strict';
(() => {
  // Rows of a page on the screen, and the most that are printed: a browser cannot lay out a hundred thousand at once.
  const PAGE = 100;
  const PRINTED = 5000;
  const WAIT_MILLISECONDS = 150;
  // A row: verb, sign and word, outcome, login, ids, reason, detail, [[path, from or null, to or null]], class.
  const [VERB, WORD, OUTCOME, USER, IDS, REASON, DETAIL, CHANGES, CLASS] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const cell = (label, ...content) => {
    const made = element('td');
    made.setAttribute('role', 'cell');
    made.dataset.label = label;
    made.append(...content);
    return made;
  };

  const change = ([path, from, to]) => {
    const item = element('li');
    item.append(element('code', path), ': ');
    if (from !== null) item.append(element('del', from), ' → ');
    item.append(to === null ? element('em', '(cleared)') : element('ins', to));
    return item;
  };

  const aside = (text, className) => {
    const small = element('small', '', className);
    small.append(element('bdi', text));
    return small;
  };

  const line = (row) => {
    const made = element('tr');
    made.setAttribute('role', 'row');
    const action = cell('Action', element('b', row[WORD]));
    action.className = 't-' + row[CLASS];
    const person = cell('Person', element('bdi', row[USER], 'who'));
    if (row[IDS]) person.append(aside(row[IDS], ''));
    const why = cell('Why', element('bdi', row[REASON]));
    if (row[DETAIL]) why.append(aside(row[DETAIL], 'detail'));
    const changes = cell('Changes');
    if (row[CHANGES].length > 0) {
      const list = element('ul');
      list.append(...row[CHANGES].map(change));
      changes.append(list);
    }
    made.append(action, cell('Outcome', row[OUTCOME]), person, why, changes);
    return made;
  };

  const words = (row) => row[CHANGES].map(([path, from, to]) => `${path} ${from ?? ''} ${to ?? ''}`).join(' ');
  // What each column is sorted by.
  const keys = [
    (row) => row[VERB],
    (row) => row[OUTCOME],
    (row) => row[USER],
    (row) => row[REASON] + ' ' + row[DETAIL],
    words,
  ];

  const start = (section) => {
    const body = section.querySelector('.people tbody');
    const tools = section.querySelector('.tools');
    const told = section.querySelector('.shown');
    const all = [];
    for (const block of section.querySelectorAll('script[type="application/json"]')) {
      for (const row of JSON.parse(block.textContent)) all.push(row);
      // What is kept as rows need not be kept as text too.
      block.textContent = '';
    }
    let chosen = all;
    let page = 0;
    let texts = null;
    let sorted = { column: -1, descending: false };

    const previous = element('button', 'Previous page');
    const next = element('button', 'Next page');
    previous.type = next.type = 'button';
    const pages = element('div', '', 'pages');
    pages.append(previous, next);
    section.querySelector('.people').after(pages);

    const show = (from, to) => {
      body.replaceChildren(...chosen.slice(from, to).map(line));
      const range = chosen.length === 0 ? 'Nobody' : `${from + 1} to ${Math.min(to, chosen.length)} of ${chosen.length}`;
      told.textContent = range + (chosen.length < all.length ? `, chosen from ${all.length} people.` : ' people.');
    };
    const render = () => {
      show(page * PAGE, (page + 1) * PAGE);
      pages.hidden = chosen.length <= PAGE;
      previous.disabled = page === 0;
      next.disabled = (page + 1) * PAGE >= chosen.length;
    };
    const choose = () => {
      const text = tools.elements.text.value.trim().toLowerCase();
      const verb = tools.elements.verb.value;
      const outcome = tools.elements.outcome.value;
      if (text !== '' && texts === null) {
        texts = new Map(all.map((row) => [row, [...row.slice(WORD, CHANGES), words(row)].join(' ').toLowerCase()]));
      }
      chosen = all.filter((row) => (verb === '' || row[VERB] === verb)
        && (outcome === '' || row[OUTCOME] === outcome) && (text === '' || texts.get(row).includes(text)));
      if (sorted.column >= 0) {
        const key = keys[sorted.column];
        const keyed = chosen.map((row) => [key(row), row]);
        keyed.sort((one, other) => collator.compare(one[0], other[0]));
        chosen = keyed.map(([, row]) => row);
        if (sorted.descending) chosen.reverse();
      }
      page = 0;
      render();
    };

    const heads = [...section.querySelectorAll('.people th')];
    heads.forEach((head, column) => {
      const button = element('button', head.textContent);
      button.type = 'button';
      const mark = element('span', '');
      mark.setAttribute('aria-hidden', 'true');
      button.append(mark);
      head.replaceChildren(button);
      head.setAttribute('aria-sort', 'none');
      button.addEventListener('click', () => {
        const same = sorted.column === column;
        // Up, down, and back to the order of the run.
        sorted = same && sorted.descending ? { column: -1, descending: false } : { column, descending: same };
        heads.forEach((other, index) => {
          const state = index !== sorted.column ? 'none' : sorted.descending ? 'descending' : 'ascending';
          other.setAttribute('aria-sort', state);
          other.querySelector('span').textContent = { none: '', ascending: ' ▲', descending: ' ▼' }[state];
        });
        choose();
      });
    });

    const offer = (name, column) => {
      const values = [...new Set(all.map((row) => row[column]))].sort();
      tools.elements[name].append(...values.map((value) => element('option', value)));
      tools.elements[name].addEventListener('change', choose);
    };
    offer('verb', VERB);
    offer('outcome', OUTCOME);
    let waiting = 0;
    tools.elements.text.addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(choose, WAIT_MILLISECONDS);
    });
    tools.addEventListener('submit', (event) => event.preventDefault());
    const turn = (by) => () => {
      page += by;
      render();
      section.querySelector('.people').scrollIntoView();
    };
    previous.addEventListener('click', turn(-1));
    next.addEventListener('click', turn(1));
    window.addEventListener('beforeprint', () => show(0, PRINTED));
    window.addEventListener('afterprint', render);
    tools.hidden = false;
    render();
  };

  for (const section of document.querySelectorAll('.sync')) {
    if (section.querySelector('.people')) start(section);
  }
})();
