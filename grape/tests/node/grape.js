'use strict'

// Node's grape started as a library, with what its command line cannot ask for: an ed25519 verifier, so that it stores
// and reads mutable items, and the limits that its README names. Argument: the options of Grape as JSON.

const crypto = require('crypto')
const { Grape } = require('grenache-grape')

// The head of an ed25519 public key in the form that Node's crypto reads (RFC 8410).
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')

const verify = (signature, message, key) => {
  try {
    const publicKey = crypto.createPublicKey({ key: Buffer.concat([SPKI_HEAD, key]), format: 'der', type: 'spki' })
    return crypto.verify(null, message, publicKey, signature)
  } catch (err) {
    return false
  }
}

new Grape({ ...JSON.parse(process.argv[2]), verify }).start(err => {
  if (err) throw err
})
