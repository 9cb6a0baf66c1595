'use strict';

const { randomUUID } = require('node:crypto');
const grpc = require('@grpc/grpc-js');
const { Emitter } = require('./emitter');
const { PluginError } = require('./error');
const { Link } = require('./link');
const { log } = require('./log');
const { read } = require('./settings');
const { failure } = require('./status');

const OVERTIME = 2000; // ms that a call may take to end after it was cancelled

// service returns the handlers of PluginService for a plugin: {manifest, open}.
function service(plugin) {
  const link = new Link();
  const instances = new Map(); // by handle

  // begin finds what a call works for.
  function begin({ token, handle }, signal) {
    const instance = instances.get(handle);
    if (instance === undefined) {
      const err = new PluginError('system', 'reopen', 'this process does not know the handle');
      throw Object.assign(err, { status: grpc.status.FAILED_PRECONDITION });
    }
    return { instance, host: link.host(token, signal) };
  }

  return {
    Describe: unary(() => ({ manifest: toMessage(plugin.manifest) })),
    Open: unary(async (request) => {
      const instance = await plugin.open(read(request.settings, plugin.manifest.settings));
      if (request.dry_run) {
        return {};
      }
      const handle = randomUUID();
      instances.set(handle, instance);
      return { handle };
    }),
    Close: unary((request) => {
      instances.delete(request.handle);
      return {};
    }),
    Check: unary(async (request, signal) => {
      const { instance, host } = begin(request.call, signal);
      await instance.check({ host, signal });
      return {};
    }),
    GetStreams: streaming(async (request, signal, send) => {
      const { instance, host } = begin(request.call, signal);
      const out = new Emitter(send);
      await instance.getStreams({ ...request, host, signal }, out);
      await out.flush();
    }),
    ProcessStream: streaming(async (request, signal, send) => {
      const { instance, host } = begin(request.call, signal);
      const out = new Emitter(send);
      const outcome = await instance.processStream({ ...request, host, signal }, out);
      await out.flush();
      await send({ outcome: { ...outcome, cursor: bytes(outcome.cursor), next_page: bytes(outcome.next_page) } });
    }),
    HostLink: (stream) => link.attach(stream),
  };
}

const bytes = (text) => (text === undefined ? undefined : Buffer.from(text));

function toMessage({ settings, ...manifest }) {
  return { ...manifest, settings_schema: Buffer.from(JSON.stringify(settings)) };
}

// unary returns the handler of a call with one answer.
function unary(answer) {
  return async (call, done) => {
    const { signal, over } = watched(call);
    try {
      done(null, await answer(call.request, signal));
    } catch (err) {
      done(failure(err, signal, err?.status));
    } finally {
      over();
    }
  };
}

// streaming returns the handler of a call with many answers. Its send waits while the
// host takes no more.
function streaming(work) {
  return async (call) => {
    const { signal, over } = watched(call);
    const send = (message) => new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (call.write(message)) {
        resolve();
        return;
      }
      const ended = () => reject(signal.reason);
      signal.addEventListener('abort', ended, { once: true });
      call.once('drain', () => {
        signal.removeEventListener('abort', ended);
        resolve();
      });
    });
    try {
      await work(call.request, signal, send);
      call.end();
    } catch (err) {
      call.emit('error', failure(err, signal, err?.status));
    } finally {
      over();
    }
  };
}

// watched returns a signal that aborts when the host ends the call, or its time is over,
// and what to run when the work is done. Work that goes on after that is told of.
function watched(call) {
  const control = new AbortController();
  let done = false;
  call.on('cancelled', () => {
    control.abort();
    setTimeout(() => {
      if (!done) {
        log('warn', 'a call goes on though it was cancelled', { method: call.getPath() });
      }
    }, OVERTIME);
  });
  return { signal: control.signal, over: () => { done = true; } };
}

module.exports = { service };
