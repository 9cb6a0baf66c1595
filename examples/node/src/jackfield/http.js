'use strict';
// Requests to a remote system: through the host's way out, if there is one, and directly
// without.

const http = require('node:http');
const https = require('node:https');
const { isIP } = require('node:net');
const tls = require('node:tls');
const { PluginError } = require('./error');

const MAX_ANSWER = 32 << 20; // bytes
const MAX_REFUSAL = 64 << 10;

// get asks for a URL and returns {status, headers, text}. It follows no redirect, and ends
// with signal. What the host refuses is an error to pass on.
async function get(url, { headers, signal }) {
  const way = process.env.JACKFIELD_EGRESS;
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const options = { headers, signal, agent: false };
  if (way) {
    const socket = await tunnel(way, `${url.hostname}:${url.port || (secure ? 443 : 80)}`, signal);
    delete options.agent; // or Node.js would not take the connection
    options.createConnection = () => (secure ? tls.connect({ socket, host, servername: isIP(host) ? '' : host }) : socket);
  }
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request(url, options, (response) => {
      read(response, MAX_ANSWER).then((text) => resolve({ status: response.statusCode, headers: response.headers, text }), reject);
    });
    request.on('error', reject).end();
  });
}

// tunnel has the host connect to an authority, such as example.org:443, and returns the
// connection.
function tunnel(way, authority, signal) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: way, method: 'CONNECT', path: authority, headers: { host: authority }, signal });
    request.on('error', reject);
    request.on('connect', (response, socket, head) => {
      if (response.statusCode === 200) {
        resolve(socket);
        return;
      }
      socket.unshift(head);
      read(socket, MAX_REFUSAL, Number(response.headers['content-length'])).then((text) => reject(refusal(text, response)), reject);
    });
    request.end();
  });
}

// refusal is the error that the host's JSON says.
function refusal(text, response) {
  try {
    const { class: class_, code, message } = JSON.parse(text);
    return new PluginError(class_, code, message);
  } catch {
    return new PluginError('transient', 'egress_unreachable', `the host's way out answers ${response.statusCode}`);
  }
}

// read returns what a stream brings, up to its end or its length.
async function read(stream, most, length = Infinity) {
  const parts = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    if (size > most) {
      throw new PluginError('remote', 'too_large', `an answer has more than ${most} bytes`);
    }
    parts.push(part);
    if (size >= length) {
      break;
    }
  }
  return Buffer.concat(parts).toString();
}

module.exports = { get };
