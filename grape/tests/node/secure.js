'use strict'

// `secure` of Node's peers from PEM texts: {"key","cert","ca", and what else Node's tls takes}.

module.exports = secure => secure && {
  ...secure,
  key: Buffer.from(secure.key),
  cert: Buffer.from(secure.cert),
  ca: Buffer.from(secure.ca)
}
