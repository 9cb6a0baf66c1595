'use strict';

// PluginError is an error that reaches the host whole. Its class drives what the host
// does: config, auth, transient, rate_limited, remote or system. Any other error
// reaches it as system. No message holds a secret.
class PluginError extends Error {
  constructor(class_, code, message, { cause, limit, request } = {}) {
    super(message, { cause });
    this.class = class_;
    this.code = code;
    this.limit = limit; // {key, after in seconds}
    this.request = request; // {method, url, host, status} of what failed
  }
}

// rateLimited says that the remote system wants no calls for so many seconds. It costs
// no attempt: the host waits, and calls again.
function rateLimited(seconds, key = '') {
  return new PluginError('rate_limited', 'rate_limited', 'the remote system asks to wait', { limit: { key, after: seconds } });
}

module.exports = { PluginError, rateLimited };
