'use strict';

const grpc = require('@grpc/grpc-js');
const { PluginError } = require('./error');
const { PluginErrorMessage, Status } = require('./protocol');

const LONGEST = 1024; // bytes of a text

// failure turns what was thrown in a call into what gRPC answers: a status with an
// Error of the protocol in its details.
function failure(err, signal, code = grpc.status.UNKNOWN) {
  if (!(err instanceof PluginError)) {
    if (signal?.aborted) {
      return { code: grpc.status.CANCELLED, details: 'the call has ended' };
    }
    err = new PluginError('system', 'plugin_error', String(err?.message ?? err));
  }
  const message = cut(err.message);
  const error = PluginErrorMessage.serialize({
    class: `ERROR_CLASS_${err.class.toUpperCase()}`,
    code: cut(err.code),
    message,
    limit: err.limit && { key: err.limit.key, after: { seconds: Math.ceil(err.limit.after) } },
    request: err.request,
  });
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', Status.serialize({
    code,
    message,
    details: [{ type_url: 'type.googleapis.com/jackfield.plugin.v1.Error', value: error }],
  }));
  return { code, details: message, metadata };
}

function cut(text) {
  const raw = Buffer.from(String(text).toWellFormed());
  return raw.length <= LONGEST ? raw.toString() : raw.subarray(0, LONGEST).toString().replace(/\uFFFD$/, '');
}

module.exports = { failure };
