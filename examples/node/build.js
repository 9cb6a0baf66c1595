'use strict';
// node build.js [DIR] makes, in DIR or build/:
//
//   notes      one executable file, with everything but Node.js in it
//   package/   the same as a package: plugin.yaml, bin/notes, SHA256SUMS
//
// The protocol is read from proto/ of the repository, or from the directory that
// JACKFIELD_PROTO names.

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');
const protobuf = require('protobufjs'); // under @grpc/proto-loader

const out = path.resolve(process.argv[2] ?? path.join(__dirname, 'build'));
const roots = [process.env.JACKFIELD_PROTO ?? path.join(__dirname, '../../proto'), path.join(__dirname, 'proto')];

// protocol returns the messages and services as JSON, so that the program needs no
// files beside it.
function protocol() {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => {
    const found = roots.map((dir) => path.join(dir, target)).find((file) => fs.existsSync(file));
    return found ?? target; // google/protobuf/... comes with protobufjs
  };
  root.loadSync(['jackfield/plugin/v1/plugin.proto', 'controller.proto', 'health.proto', 'status.proto'], { keepCase: true });
  return JSON.stringify(root.toJSON());
}

function bundle(program) {
  esbuild.buildSync({
    entryPoints: [path.join(__dirname, 'src/main.js')],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    alias: { 'jackfield-protocol': path.join(out, 'protocol.json') },
    banner: { js: '#!/usr/bin/env node' },
    legalComments: 'eof',
    logLevel: 'warning',
  });
  fs.chmodSync(program, 0o755);
}

// pack makes the package. SHA256SUMS has the form of sha256sum, and names every file
// but itself.
function pack(program, dir) {
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(path.join(dir, 'bin'), { recursive: true });
  fs.copyFileSync(path.join(__dirname, 'plugin.yaml'), path.join(dir, 'plugin.yaml'));
  fs.copyFileSync(program, path.join(dir, 'bin/notes'));
  const sums = ['bin/notes', 'plugin.yaml'].map((name) => {
    const sum = createHash('sha256').update(fs.readFileSync(path.join(dir, name))).digest('hex');
    return `${sum}  ${name}\n`;
  });
  fs.writeFileSync(path.join(dir, 'SHA256SUMS'), sums.join(''));
}

fs.mkdirSync(out, { recursive: true });
fs.writeFileSync(path.join(out, 'protocol.json'), protocol());
bundle(path.join(out, 'notes'));
pack(path.join(out, 'notes'), path.join(out, 'package'));
