'use strict';

const { PluginError } = require('./error');
const { log } = require('./log');

// Link carries what the plugin asks of the host. The host opens it once, right after the
// start, and answers each ask under its number.
class Link {
  #stream; // undefined while there is none
  #next = 1;
  #waiting = new Map(); // by number: {resolve, reject}

  // attach serves the stream that the host opened.
  attach(stream) {
    this.#stream = stream;
    stream.on('data', (answer) => this.#answered(answer));
    stream.on('error', () => this.#lost(stream));
    stream.on('cancelled', () => this.#lost(stream));
    stream.on('end', () => {
      this.#lost(stream);
      stream.end();
    });
  }

  // host is what one call may ask: the token names the call. What it asks ends with it.
  host(token, signal) {
    return {
      // log writes a line that carries tenant, integration, run and stream.
      log: (level, message, fields = {}) => {
        const texts = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
        if (!this.#tell(token, { log: { level, message, fields: texts } })) {
          log(level, message, texts);
        }
      },
      // limit waits for one of at most max calls in any window of so many seconds. The
      // host counts for all streams together. If it would take long, it throws a rate
      // limit: pass it on.
      limit: ({ scope, key, max, window }) => this.#ask(token, signal, { limit: { scope, key, max, window: { seconds: window } } }),
      // progress says that a call is alive that sends nothing for up to a minute.
      progress: (what, until) => this.#ask(token, signal, { progress: { what, until: { seconds: Math.ceil(until / 1000) } } }),
    };
  }

  #tell(token, what) {
    this.#stream?.write({ token, ...what });
    return this.#stream !== undefined;
  }

  #ask(token, signal, what) {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const id = String(this.#next++);
      if (!this.#tell(token, { id, ...what })) {
        reject(new PluginError('system', 'link_lost', 'the link with the host is gone'));
        return;
      }
      const cancel = () => {
        this.#waiting.delete(id);
        this.#tell(token, { cancel: id });
        reject(signal.reason);
      };
      signal.addEventListener('abort', cancel, { once: true });
      const settled = (settle) => (value) => {
        signal.removeEventListener('abort', cancel);
        settle(value);
      };
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
    });
  }

  #answered(answer) {
    const asker = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (asker === undefined) {
      return; // it has given up
    }
    if (answer.error) {
      asker.reject(fromHost(answer.error));
    } else {
      asker.resolve(answer);
    }
  }

  #lost(stream) {
    if (this.#stream !== stream) {
      return;
    }
    this.#stream = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const asker of waiting) {
      asker.reject(new PluginError('system', 'link_lost', 'the link with the host is gone'));
    }
  }
}

function fromHost(error) {
  const class_ = error.class.replace('ERROR_CLASS_', '').toLowerCase();
  const after = error.limit?.after;
  return new PluginError(class_, error.code, error.message, {
    limit: error.limit && { key: error.limit.key, after: Number(after?.seconds ?? 0) + (after?.nanos ?? 0) / 1e9 },
  });
}

module.exports = { Link };
