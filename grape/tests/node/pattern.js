'use strict'

// Bytes that the tests know without sending them: those of xorshift32 from a seed, four by four, little endian.

const { Readable, Writable } = require('stream')
const crypto = require('crypto')

const bytes = (seed, length) => {
  const words = new Uint32Array(Math.ceil(length / 4))
  let x = seed >>> 0
  for (let at = 0; at < words.length; at++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    words[at] = x >>> 0
  }
  return Buffer.from(words.buffer, 0, length)
}

module.exports = {
  bytes,
  // A stream of them in pieces.
  source: ({ seed, length, piece = 65536 }) => {
    const all = bytes(seed, length)
    const pieces = []
    for (let at = 0; at < length; at += piece) pieces.push(all.subarray(at, at + piece))
    return Readable.from(pieces, { objectMode: false })
  },
  // Takes a stream in; its `digest()` tells what came.
  sink: () => {
    const hash = crypto.createHash('sha256')
    let length = 0
    const sink = new Writable({
      write (chunk, _, done) {
        hash.update(chunk)
        length += chunk.length
        done()
      }
    })
    sink.digest = () => ({ length, sha256: hash.digest('hex') })
    return sink
  }
}
