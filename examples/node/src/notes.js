'use strict';
// The notes of an HTTP service: GET /notes?after=ID&limit=N answers those that come
// after ID, in the order of their numbers, with a bearer token.

const { PluginError, rateLimited } = require('./jackfield/error');
const { canonical } = require('./jackfield/emitter');
const { get } = require('./jackfield/http');

const PAGE = 100; // notes asked for at once
const SEGMENT = 25; // notes between two checkpoints
const TIMEOUT = 30_000; // of one request, in milliseconds

const manifest = {
  name: 'notes',
  label: 'Notes',
  version: '1.0.0',
  kind: 'data',
  description: 'The notes of an HTTP service, written in JavaScript.',
  connectors: [{ name: 'notes', label: 'Notes', force: true }],
  capabilities: ['check'],
  settings: {
    type: 'object',
    additionalProperties: false,
    required: ['api_url', 'token'],
    properties: {
      api_url: { type: 'string', format: 'uri', title: 'Address of the service' },
      token: { type: 'string', title: 'Token of the service', writeOnly: true, 'x-secret': true },
    },
  },
};

// open makes an instance of settings that fit the schema. It never dials.
function open(settings) {
  if (!URL.canParse(settings.api_url)) {
    throw new PluginError('config', 'bad_settings', 'settings: api_url is no address');
  }
  return new Notes(settings);
}

class Notes {
  constructor(settings) {
    this.settings = settings;
  }

  // check asks the service for one note.
  async check(call) {
    await this.notes(call, 0, 1);
  }

  // getStreams plans one stream, which owns the cursor "all".
  async getStreams(call, out) {
    await out.stream({ id: 'all', connector: 'notes', partition: 'all' });
  }

  // processStream reads one page. Cursor and page are the number of the last note that
  // was read. A checkpoint is that and how much of the page is left: with the two, any
  // process goes on where another one was killed.
  async processStream(call, out) {
    let { after, left } = call.checkpoint ? JSON.parse(call.checkpoint) : { after: Number(call.page ?? call.cursor ?? 0), left: PAGE };
    left = Math.min(left, call.page_size || PAGE);
    const wanted = left;
    const found = await this.notes(call, after, wanted);
    for (const note of found) {
      await out.record({ op: 'OP_UPSERT', kind: 'note', external_id: String(note.id), data: canonical(note) });
      after = note.id;
      left -= 1;
      if (left > 0 && left % SEGMENT === 0) {
        await out.checkpoint({ data: JSON.stringify({ after, left }), cursor: String(after) });
      }
    }
    call.host.log('debug', 'page read', { notes: found.length });
    return found.length < wanted ? { cursor: String(after) } : { cursor: String(after), next_page: String(after) };
  }

  // notes asks the service. What blocks ends with call.signal: when the host cancels the
  // call, and when its time is over.
  async notes(call, after, limit) {
    await call.host.limit({ scope: 'integration', key: 'api', max: 20, window: 1 });
    const url = new URL(this.settings.api_url);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/notes`;
    url.search = new URLSearchParams({ after, limit });
    let response;
    try {
      response = await get(url, {
        headers: { authorization: `Bearer ${this.settings.token.reveal()}` },
        signal: AbortSignal.any([call.signal, AbortSignal.timeout(TIMEOUT)]),
      });
    } catch (err) {
      call.signal.throwIfAborted();
      throw err instanceof PluginError ? err : new PluginError('transient', 'not_reached', 'the service is not reached', { cause: err });
    }
    switch (response.status) {
      case 200:
        return list(response.text);
      case 401:
      case 403:
        throw new PluginError('auth', 'refused', 'the service refuses the token');
      case 429:
        throw rateLimited(Number(response.headers['retry-after']) || 60);
      default:
        throw new PluginError('remote', 'bad_status', `the service answers ${response.status}`, {
          request: { method: 'GET', url: url.origin + url.pathname, host: url.host, status: response.status },
        });
    }
  }
}

function list(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    // the same as below
  }
  if (!Array.isArray(found) || !found.every((note) => Number.isSafeInteger(note?.id))) {
    throw new PluginError('remote', 'bad_answer', 'the service answers what is no list of notes');
  }
  return found;
}

module.exports = { manifest, open };
