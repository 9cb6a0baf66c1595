'use strict';

const { inspect } = require('node:util');
const { PluginError } = require('./error');

// Secret prints as ***, whatever prints it.
class Secret {
  #value;

  constructor(value) {
    this.#value = value;
  }

  reveal() {
    return this.#value;
  }

  toString() {
    return '***';
  }

  toJSON() {
    return '***';
  }

  [inspect.custom]() {
    return '***';
  }
}

// read returns the settings that raw holds, if they fit the schema: no key that it does
// not know, all that it requires, and values of its types. Secrets become a Secret. What
// it says of a setting that does not fit is its name, never its value.
function read(raw, schema) {
  const found = parse(raw);
  const settings = {};
  for (const [name, value] of Object.entries(found)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (property === undefined) {
      throw bad(`there is no setting ${JSON.stringify(name.slice(0, 64))}`);
    }
    if (!fits(value, property.type)) {
      throw bad(`${name} is no ${property.type}`);
    }
    settings[name] = property['x-secret'] ? new Secret(value) : value;
  }
  for (const name of schema.required ?? []) {
    if (settings[name] === undefined) {
      throw bad(`${name} is missing`);
    }
  }
  return settings;
}

function parse(raw) {
  let found;
  try {
    found = JSON.parse(raw);
  } catch {
    // the same as below
  }
  if (!fits(found, 'object')) {
    throw bad('they are no JSON object');
  }
  return found;
}

function fits(value, type) {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}

function bad(message) {
  return new PluginError('config', 'bad_settings', `settings: ${message}`);
}

module.exports = { read, Secret };
