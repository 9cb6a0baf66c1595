'use strict';
// The log of the process: lines of JSON on stderr, which the host reads. Its own
// stdout is for the handshake alone.

const { format } = require('node:util');

const stderr = process.stderr.write.bind(process.stderr);
const LONGEST = 32 << 10; // of a message; the host reads lines of 64 KiB

function log(level, message, fields = {}) {
  const line = {
    '@level': level,
    '@message': String(message).slice(0, LONGEST),
    '@timestamp': new Date().toISOString().replace('Z', '000Z'), // six digits
    ...fields,
  };
  stderr(`${JSON.stringify(line)}\n`);
}

// takeOutput makes lines of the log of whatever anybody prints.
function takeOutput() {
  for (const name of ['stdout', 'stderr']) {
    process[name].write = (chunk, encoding, done) => {
      for (const line of Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8').toString().split('\n')) {
        if (line.trim() !== '') {
          log('info', line, { printed: name });
        }
      }
      (typeof encoding === 'function' ? encoding : done)?.();
      return true;
    };
  }
  for (const [method, level] of Object.entries({ debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' })) {
    console[method] = (...args) => log(level, format(...args));
  }
}

module.exports = { log, takeOutput };
