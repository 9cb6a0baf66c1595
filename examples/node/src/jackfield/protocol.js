'use strict';

const loader = require('@grpc/proto-loader');

// What crosses the wire has the names of the proto files. bytes are Buffers, 64-bit
// numbers are strings, what is optional and absent is undefined.
const types = loader.fromJSON(require('jackfield-protocol'), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});

const PLUGIN = 'jackfield.plugin.v1';

module.exports = {
  VERSION: 1, // of the protocol
  MAX_MESSAGE: 4 << 20,
  PluginService: types[`${PLUGIN}.PluginService`],
  Health: types['grpc.health.v1.Health'],
  Controller: types['plugin.GRPCController'],
  PluginErrorMessage: types[`${PLUGIN}.Error`],
  Status: types['google.rpc.Status'],
};
