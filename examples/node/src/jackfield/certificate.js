'use strict';
// Node.js makes keys and signatures, and no certificates: this writes the one that a
// plugin needs, in the DER of X.509. It is signed by itself, is its own authority,
// names localhost, and may be used at both ends.

const { generateKeyPairSync, randomBytes, sign } = require('node:crypto');

// der writes one element: tag, length, content.
function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) {
    return Buffer.concat([Buffer.from([tag, body.length]), body]);
  }
  const size = Buffer.from([body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag, 0x82]), size, body]);
}

const sequence = (...parts) => der(0x30, ...parts);
const set = (...parts) => der(0x31, ...parts);
const explicit = (n, ...parts) => der(0xa0 | n, ...parts);
const octets = (...parts) => der(0x04, ...parts);
const utf8 = (text) => der(0x0c, Buffer.from(text));
const yes = der(0x01, Buffer.from([0xff]));
const bits = (unused, ...parts) => der(0x03, Buffer.from([unused]), ...parts);
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));

// time is a UTCTime, which has two digits for the year: it serves until 2049.
function time(date) {
  const text = date.toISOString().replace(/[-:T]/g, '');
  return der(0x17, Buffer.from(`${text.slice(2, 14)}Z`));
}

const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = '550403';
const KEY_USAGE = '551d0f';
const ALT_NAME = '551d11';
const CONSTRAINTS = '551d13';
const EXTENDED_USAGE = '551d25';
const SERVER_AUTH = '2b06010505070301';
const CLIENT_AUTH = '2b06010505070302';

const DAY = 24 * 60 * 60 * 1000;

// certificate returns a new one, with its key: {der, pem, key}.
function certificate(now = Date.now()) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x01; // positive, and no zero in front
  const name = sequence(set(sequence(oid(COMMON_NAME), utf8('localhost'))));
  const extensions = sequence(
    sequence(oid(CONSTRAINTS), yes, octets(sequence(yes))), // an authority
    sequence(oid(KEY_USAGE), yes, octets(bits(2, Buffer.from([0x84])))), // digitalSignature, keyCertSign
    sequence(oid(EXTENDED_USAGE), octets(sequence(oid(SERVER_AUTH), oid(CLIENT_AUTH)))),
    sequence(oid(ALT_NAME), octets(sequence(der(0x82, Buffer.from('localhost'))))),
  );
  const body = sequence(
    explicit(0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, serial),
    ECDSA_SHA256,
    name, // of who signed it
    sequence(time(new Date(now - DAY)), time(new Date(now + 3650 * DAY))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, extensions),
  );
  const whole = sequence(body, ECDSA_SHA256, bits(0, sign('sha256', body, privateKey)));
  const lines = whole.toString('base64').match(/.{1,64}/g).join('\n');
  return {
    der: whole,
    pem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

module.exports = { certificate };
