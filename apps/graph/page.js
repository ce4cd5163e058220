// Steps through backward. `graph` holds the nodes and the visits; everything shown is made from it, for any step.
const $ = id => document.getElementById(id);
const last = graph.visits.length;
let step = 0;

function amount(gradient) {
  return gradient.numbers ? (/[ |]/.test(gradient.numbers) ? `(${gradient.numbers})` : gradient.numbers)
                          : `norm ${Number.isFinite(gradient.norm) ? Number(gradient.norm.toPrecision(3)) : gradient.norm}`;
}

function title(i) {
  const node = graph.nodes[i];
  return node.name || node.op;
}

// After so many visits: the gradients that have arrived, the visited nodes, and the bytes released.
function state(steps) {
  const arrived = graph.nodes.map(() => []), visited = new Set();
  let released = 0;
  arrived[graph.result].push(graph.seed);
  for (const visit of graph.visits.slice(0, steps)) {
    visited.add(visit.node);
    released += graph.nodes[visit.node].kept || 0;
    for (const sent of visit.sent) arrived[sent.node].push(sent.gradient);
  }
  return {arrived, visited, released};
}

// Numbers are written as a sum. Norms do not add up, so of larger arrays only the sum's own norm is given.
function sum(terms, total) {
  if (terms.length === 1) return amount(terms[0]);
  if (!terms.every(term => term.numbers)) return total ? `${amount(total)}, sum of ${terms.length}` : `${terms.length} so far`;
  const text = terms.map(amount).join(' + ');
  return total ? `${text} = ${amount(total)}` : text;
}

// A leaf's gradient is complete once no unvisited node can add to it.
function complete(i, visited) {
  return step === last || graph.nodes.every((user, j) => visited.has(j) || !user.needs_grad || !user.inputs.includes(i));
}

function gradientOf(i, now) {
  const node = graph.nodes[i], terms = now.arrived[i];
  if (!node.needs_grad) return 'needs no gradient';
  if (!terms.length) return 'no gradient yet';
  if (node.folded > 1) return terms.length === 1 ? amount(terms[0]) : `${terms.length} gradients`;
  return sum(terms, complete(i, now.visited) ? node.gradient : null);
}

function sentence(now) {
  if (step === 0) {
    const ones = graph.seed.numbers === '1' ? '' : ' (all ones: the loss is taken to be the sum of its numbers)';
    return `Start. ${title(graph.result)} is the result; its gradient: ${amount(graph.seed)}${ones}. Nothing else has one yet.`;
  }
  const visit = graph.visits[step - 1], node = graph.nodes[visit.node];
  const sends = visit.sent.map(s => `${amount(s.gradient)} to ${title(s.node)}`);
  let text = `Visit ${step} of ${last}: ${title(visit.node)}${node.name ? ` (${node.op})` : ''}. Its gradient: ${gradientOf(visit.node, now)}. `;
  text += sends.length ? `It sends ${sends.join(', and ')}. ` : 'It sends nothing. ';
  if (node.kept !== null) text += node.kept ? `It lets go of ${node.kept} bytes that it kept. ` : 'It had kept nothing. ';
  for (const to of new Set(visit.sent.map(s => s.node)))
    if (now.arrived[to].length > 1) text += `At ${title(to)} they add up: ${gradientOf(to, now)}. `;
  if (step === last) text += 'The leaves have their gradients.';
  return text;
}

function short(text) {
  return text.length > 22 ? text.slice(0, 21) + '…' : text;
}

function show(to) {
  step = Math.max(0, Math.min(last, to));
  const now = state(step), current = step ? graph.visits[step - 1] : null;
  graph.nodes.forEach((node, i) => {
    const box = $(`n${i}`), sends = current && current.sent.some(s => s.node === i);
    box.setAttribute('class', ['node', node.needs_grad ? '' : 'constant', now.visited.has(i) ? 'done' : '',
      now.arrived[i].length ? 'arrived' : '', current && current.node === i ? 'current' : '', sends ? 'target' : ''].join(' '));
    $(`g${i}`).textContent = node.needs_grad && last ? short(gradientOf(i, now)) : '';
    if (last) $(`t${i}`).textContent = gradientOf(i, now);
  });
  graph.edges.forEach((edge, k) => {
    const live = current && edge.to === current.node && current.sent.some(s => s.node === edge.from);
    $(`e${k}`).setAttribute('class', live ? 'edge live' : now.visited.has(edge.to) ? 'edge done' : 'edge');
  });
  if (!last) return;
  $('say').textContent = sentence(now);
  $('bytes').textContent = graph.counted ? `Released so far: ${now.released} of ${graph.kept} bytes.` : '';
  for (const [id, off] of [['first', step === 0], ['back', step === 0], ['next', step === last], ['end', step === last]])
    $(id).setAttribute('aria-disabled', off);
  document.querySelectorAll('#visits li').forEach((item, k) => {
    if (k === step - 1) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  });
  location.replace(`#${step}`);
  const target = $(`n${current ? current.node : graph.result}`);
  target.scrollIntoView({block: 'nearest', inline: 'center', behavior: 'auto'});
}

if (last) {
  const move = {first: () => 0, back: () => step - 1, next: () => step + 1, end: () => last};
  for (const id in move) $(id).addEventListener('click', () => show(move[id]()));
  const keys = {ArrowRight: 'next', ArrowLeft: 'back', Home: 'first', End: 'end', ' ': 'next'};
  document.addEventListener('keydown', event => {
    const own = event.key === ' ' && event.target.closest('button, summary, a');
    if (!keys[event.key] || own || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(move[keys[event.key]]());
  });
  document.querySelectorAll('#visits button').forEach((b, k) => b.addEventListener('click', () => show(k + 1)));
}
show(parseInt(location.hash.slice(1), 10) || 0);
