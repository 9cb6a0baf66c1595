'use strict';
// A service of notes on this machine, to try the plugin with: node service.js PORT.

const http = require('node:http');

const TOKEN = 't0p-s3cret';
const notes = Array.from({ length: 250 }, (_, i) => ({ id: i + 1, text: `note ${i + 1}` }));

// answer gives at most LIMIT notes after the number AFTER to who has the token.
function answer(request) {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (request.headers.authorization !== `Bearer ${TOKEN}`) {
    return [401, { error: 'who are you?' }];
  }
  if (request.method !== 'GET' || url.pathname !== '/notes') {
    return [404, { error: 'there are notes alone' }];
  }
  const after = Number(url.searchParams.get('after') ?? 0);
  const limit = Number(url.searchParams.get('limit') ?? 100);
  return [200, notes.filter((note) => note.id > after).slice(0, limit)];
}

http
  .createServer((request, response) => {
    const [status, body] = answer(request);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  })
  .listen(Number(process.argv[2] ?? 8080), '127.0.0.1');
