'use strict';
// The process of a plugin: the contract of sdk/README.md, step by step.

const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { certificate } = require('./certificate');
const { log, takeOutput } = require('./log');
const { Controller, Health, MAX_MESSAGE, PluginService, VERSION } = require('./protocol');
const { service } = require('./service');

const PARENT_EVERY = 250; // ms

// serve is the main of a plugin's program.
function serve(plugin) {
  const parent = process.ppid; // before the host can end
  if (process.env.JACKFIELD_PLUGIN !== 'jackfield.plugin.v1') {
    tell(plugin);
    return;
  }
  takeOutput();
  const { server, credentials, shown } = secured();
  const end = (reason, code) => {
    log('info', 'the process ends', { reason });
    server.forceShutdown();
    process.exit(code);
  };
  server.addService(PluginService, service(plugin));
  server.addService(Health, { Check: (_, done) => done(null, { status: 'SERVING' }) });
  server.addService(Controller, {
    Shutdown: (_, done) => {
      done(null, {});
      setImmediate(() => end('the host says so', 0));
    },
  });
  watchHost(parent, end);

  const socket = path.join(process.env.PLUGIN_UNIX_SOCKET_DIR ?? os.tmpdir(), `plugin${randomBytes(4).toString('hex')}`);
  server.bindAsync(`unix:${socket}`, credentials, (err) => {
    if (err) {
      log('error', 'listen', { error: err.message });
      process.exit(1);
    }
    // The one line of stdout: go-plugin's own version, ours, and where to dial what.
    fs.writeSync(1, `1|${VERSION}|unix|${socket}|grpc|${shown}\n`);
  });
}

// secured returns a server that lets in only who holds the key of the certificate that
// the host handed over, and what it shows of its own: DER in base64 without padding.
function secured() {
  const theirs = process.env.PLUGIN_CLIENT_CERT;
  const versions = (process.env.PLUGIN_PROTOCOL_VERSIONS ?? '').split(',').map(Number);
  if (!theirs || !versions.includes(VERSION)) {
    log('error', 'this host cannot be served', { certificate: Boolean(theirs), versions: versions.join() });
    process.exit(1);
  }
  const own = certificate();
  const pair = { private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.pem) };
  return {
    server: new grpc.Server({ 'grpc.max_receive_message_length': MAX_MESSAGE, 'grpc.max_send_message_length': MAX_MESSAGE }),
    credentials: grpc.ServerCredentials.createSsl(Buffer.from(theirs), [pair], true),
    shown: own.der.toString('base64').replace(/=+$/, ''),
  };
}

// watchHost ends the process when the host is gone: the host holds stdin open and never
// writes to it, and is the parent. It stops a plugin by itself: Ctrl-C in its terminal is
// not for us.
function watchHost(parent, end) {
  process.stdin.on('end', () => end('stdin ended', 1)).on('error', () => end('stdin broke', 1)).resume();
  setInterval(() => {
    if (process.ppid !== parent) {
      end('the parent process ended', 1);
    }
  }, PARENT_EVERY);
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => end('it was told to', 0));
}

// tell answers a person who started the program.
function tell({ manifest }) {
  switch (process.argv[2]) {
    case 'version':
      console.log(`${manifest.name} ${manifest.version}`);
      return;
    case 'manifest':
      console.log(JSON.stringify(manifest, null, 2));
      return;
    default:
      console.error(`This is the Jackfield plugin ${manifest.name}, version ${manifest.version}. A host starts it by itself:\n`
        + `put the file into its plugins directory and say "jackfield plugin approve ${manifest.name}".`);
      process.exitCode = 2;
  }
}

module.exports = { serve };
