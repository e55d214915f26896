'use strict';
// Our head parser against node's (llhttp): what we accept it accepts, and
// reads the same way.  What only we refuse is counted, not judged.
//	node oracle.js HEADS [COUNT [SEED]]
const { spawnSync } = require('child_process');
const common = require('_http_common');
const HTTPParser = common.HTTPParser;

const [heads, count, seed] = process.argv.slice(2);
const CASES = Number(count || 20000);

let state = Number(seed || 1) >>> 0 || 1;
function draw(n) {
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state % n;
}

const chunked = 'POST /a HTTP/1.1\r\nHost: x\r\n' +
  'Transfer-Encoding: chunked\r\n\r\n';
const post = (lines) => 'POST /a HTTP/1.1\r\nHost: x\r\n' + lines + '\r\n\r\n';
// The 32 probes.
const probes = [
  post('Content-Length: 5\r\nTransfer-Encoding: chunked'),
  post('Transfer-Encoding: chunked\r\nContent-Length: 5'),
  post('Content-Length: 5\r\nContent-Length: 6'),
  post('Content-Length: 5\r\nContent-Length: 5'),
  post('Content-Length: +0'), post('Content-Length: 0x0'),
  post('Content-Length: 0, 0'), post('Content-Length: -1'),
  post('Content-Length: 0 0'), post('Transfer-Encoding: xchunked'),
  post('Transfer-Encoding: chunked, identity'),
  post('Transfer-Encoding : chunked'), post('Transfer-Encoding: \vchunked'),
  'GET /a HTTP/1.1\nHost: x\n\n', 'GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n',
  chunked + '0;a\n\r\n\r\n', chunked + '0x0\r\n\r\n',
  chunked + '10000000000000000\r\n', chunked + '1\r\naX0\r\n\r\n',
  chunked + '1\na\n0\n\n', 'GET /a HTTP/1.1\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n',
  'POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
  'GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /a HTTP/9.9\r\nHost: x\r\n\r\n',
  'GET /a HTTP/1.1\r\n Host: x\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: x\r\nA\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n',
  'get /a HTTP/1.1\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
];

const good = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /sev/vm/57f669c2-c427-4132-bc7a-26f56b6a718c/launch HTTP/1.1\r\n' +
    'Host: relay.example:9443\r\nUser-Agent: curl/7.88.1\r\n' +
    'Accept: */*\r\nContent-Type: application/json\r\n' +
    'Content-Length: 12\r\nExpect: 100-continue\r\n\r\n',
  'GET /agent/v1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n' +
    'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  'POST /x?y=z HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 0\r\n' +
    'Connection: close\r\nX-A:b\r\nX-B: \t c d \t\r\nX-C:\r\n\r\n',
  'GET /a/../b;c=d/%20 HTTP/1.1\r\nhost: A.B\r\naccept: a, b;q=0.5\r\n\r\n',
];

const words = ['\r\n', '\r', '\n', '\0', '\t', ' ', '\v', '\f', ':', ',', '"',
  'Content-Length: 3\r\n', 'Content-Length:3\r\n', 'content-length: 0\r\n',
  'Transfer-Encoding: chunked\r\n', 'Host: x\r\n', 'HTTP/1.0', 'HTTP/1.1',
  'GET', 'POST', 'OPTIONS', 'X: y\r\n', '\x80', '\xff', '\x7f', '#', '?', '%',
  '\r\n ', '\r\n\t', '\r\n\r\n', 'http://x', '*', '+1', '0', '99999999999',
  'Connection: close\r\n', 'Expect: 100-continue\r\n', 'Upgrade: x\r\n',
  '(', '@', '/', '\\', '{'];

function mutate(text) {
  for (let n = 1 + draw(3); n > 0; n--) {
    const at = draw(text.length + 1);
    const lines = text.split('\r\n');
    switch (draw(7)) {
    case 0:
      text = text.slice(0, at) + String.fromCharCode(draw(256)) +
        text.slice(at + 1);
      break;
    case 1:
      text = text.slice(0, at) + text.slice(at + 1 + draw(4));
      break;
    case 2:
      text = text.slice(0, at) + words[draw(words.length)] + text.slice(at);
      break;
    case 3: {
      const i = draw(lines.length), k = draw(lines.length);
      [lines[i], lines[k]] = [lines[k], lines[i]];
      text = lines.join('\r\n');
      break;
    }
    case 4:
      lines.splice(draw(lines.length), 0, lines[draw(lines.length)]);
      text = lines.join('\r\n');
      break;
    case 5: {
      const c = draw(text.length || 1);
      const flip = text[c] >= 'a' ? text[c].toUpperCase() :
        (text[c] || 'a').toLowerCase();
      text = text.slice(0, c) + flip + text.slice(c + 1);
      break;
    }
    default:
      lines.splice(draw(lines.length), 1);
      text = lines.join('\r\n');
    }
  }
  return text;
}

// What node's parser makes of a head: null if it refuses or wants more.
function oracle(head, bodyLength) {
  const parser = new HTTPParser();
  let seen = null, complete = false, fields = [];
  parser.initialize(HTTPParser.REQUEST, {});
  parser[HTTPParser.kOnHeaders | 0] = (h) => { fields.push(...h); };
  parser[HTTPParser.kOnHeadersComplete | 0] =
    (major, minor, h, method, url, code, text, upgrade) => {
      seen = { method: common.methods[method], url,
        fields: fields.concat(h || []), major, minor, upgrade };
      return 0;
    };
  parser[HTTPParser.kOnBody | 0] = () => {};
  parser[HTTPParser.kOnMessageComplete | 0] = () => { complete = true; };
  const got = parser.execute(Buffer.from(head, 'latin1'));
  if (got instanceof Error || seen === null)
    return null;
  seen.done = complete;
  if (bodyLength > 0 && !complete && !seen.upgrade) {
    parser.execute(Buffer.alloc(bodyLength - 1));
    seen.early = complete;
    parser.execute(Buffer.alloc(1));
    seen.done = complete;
  }
  return seen;
}

function hex(text) {
  return Buffer.from(text, 'latin1').toString('hex');
}

// Where do both readings differ?  '' if nowhere.
function difference(line, text) {
  const [, method, target, length, upgrade, ...fields] = line.split(' ');
  // As many bytes as ours would hand on: the head and nothing behind.
  const end = text.indexOf('\r\n\r\n') + 4;
  const n = length === '-' ? 0 : Number(length);
  const small = n <= 100000;
  let head = text.slice(0, end), word = Buffer.from(method, 'hex').toString();
  // It knows a list of methods, we leave that to the resource: 405.
  if (!common.methods.includes(word)) {
    head = 'GET' + head.slice(word.length);
    word = 'GET';
    strangers++;
  }
  const seen = oracle(head, small ? n : 0);
  if (seen === null)
    return 'the oracle refuses';
  if (seen.method !== word)
    return 'method ' + seen.method;
  if (hex(seen.url) !== target)
    return 'target ' + seen.url;
  if (seen.major !== 1 || seen.minor !== 1)
    return 'version';
  const theirs = [];
  for (let i = 0; i < seen.fields.length; i += 2)
    theirs.push(hex(seen.fields[i]) + ':' + hex(seen.fields[i + 1]));
  if (theirs.join(' ') !== fields.join(' '))
    return 'fields';
  if (!seen.upgrade && small && (!seen.done || seen.early))
    return 'where the body ends';
  return '';
}

const cases = probes.concat(good);
while (cases.length < CASES + probes.length + good.length)
  cases.push(mutate(good[draw(good.length)]));

const input = Buffer.concat(cases.map((text) => {
  const bytes = Buffer.from(text, 'latin1');
  const len = Buffer.alloc(4);
  len.writeUInt32BE(bytes.length);
  return Buffer.concat([len, bytes]);
}));
const ours = spawnSync(heads, { input, maxBuffer: 1 << 28 });
if (ours.status !== 0) {
  console.log('%s: status %s %s', heads, ours.status, ours.stderr);
  process.exit(1);
}
const lines = ours.stdout.toString().trimEnd().split('\n');
let strangers = 0, laxer = 0, stricter = 0, both = 0, neither = 0;
for (let i = 0; i < cases.length; i++) {
  const accepted = lines[i].startsWith('ok ');
  if (i < probes.length && accepted) {
    console.log('probe accepted: %j', cases[i]);
    laxer++;
  } else if (i >= probes.length && i < probes.length + good.length &&
      !accepted) {
    console.log('good head refused: %j %s', cases[i], lines[i]);
    laxer++;
  }
  if (!accepted) {
    if (oracle(cases[i], 0) === null)
      neither++;
    else
      stricter++;
    continue;
  }
  const words = difference(lines[i], cases[i]);
  if (words === '') {
    both++;
  } else {
    laxer++;
    console.log('%s: %j', words, cases[i]);
  }
}
console.log('llhttp %s: %d heads, both accept %d (%d of unknown methods), ' +
  'neither %d, only it accepts %d, we are laxer or differ %d',
  process.versions.llhttp, cases.length, both, strangers, neither, stricter,
  laxer);
process.exit(laxer === 0 && lines.length === cases.length && both > 100 ? 0 : 1);
