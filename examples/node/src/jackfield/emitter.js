'use strict';

const { createHash } = require('node:crypto');

const BATCH_RECORDS = 1000;
const BATCH_BYTES = 256 << 10;
const MAX_RECORD = 1 << 20;

// Emitter gathers what a call emits into batches. Wait for what its methods return: they
// wait in turn while the host is not ready to take more.
class Emitter {
  #send;
  #batch = {};
  #count = 0;
  #size = 0;

  // send sends one message of the stream.
  constructor(send) {
    this.#send = send;
  }

  // record emits an upsert, an update or a delete. One over 1 MiB is left out with a
  // warning of its key, size and digest.
  async record(record) {
    const data = Buffer.from(record.data ?? '');
    const size = data.length + Buffer.byteLength(record.external_id) + Buffer.byteLength(record.kind);
    if (data.length > MAX_RECORD) {
      const digest = createHash('sha256').update(data).digest('hex');
      const key = `${record.kind}/${record.external_id}`;
      await this.warn(key, `record_too_large: ${key} has ${data.length} bytes, ${MAX_RECORD} are allowed (sha256 ${digest})`);
      return;
    }
    await this.#add('records', { ...record, data }, size);
  }

  // stream emits more work for the run.
  async stream(stream) {
    await this.#add('streams', { ...stream, data: Buffer.from(stream.data ?? '') }, 64 + (stream.data?.length ?? 0));
  }

  // warn tells of something that was skipped.
  async warn(record_id, message) {
    await this.#add('warnings', { record_id, message }, 64 + message.length);
  }

  // checkpoint ends a segment: the host keeps what was emitted since the last one
  // together with it, or not at all.
  async checkpoint({ data, cursor }) {
    await this.flush();
    await this.#send({ checkpoint: { data: Buffer.from(data), cursor: cursor === undefined ? undefined : Buffer.from(cursor) } });
  }

  // flush sends what was gathered. The end of a call does so too.
  async flush() {
    if (this.#count === 0) {
      return;
    }
    const batch = this.#batch;
    this.#batch = {};
    this.#count = this.#size = 0;
    await this.#send({ batch });
  }

  async #add(list, item, size) {
    (this.#batch[list] ??= []).push(item);
    this.#count += 1;
    this.#size += size;
    if (this.#count >= BATCH_RECORDS || this.#size >= BATCH_BYTES) {
      await this.flush();
    }
  }
}

// canonical returns value as JSON with the members of objects in the order of their
// bytes: equal content has equal bytes, and costs the host no write.
function canonical(value) {
  if (Array.isArray(value)) {
    return `[${value.map((each) => canonical(each)).join(',')}]`;
  }
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value ?? null);
  }
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

module.exports = { canonical, Emitter };
