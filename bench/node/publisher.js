'use strict'

// A publisher as people write it: a message to every subscriber, for as long as it is told, as fast as they take them. Says
// {"listening":"host:port"} first; `publish <ms> <bytes>` on standard input, a line each, is answered by {"published"}.
//
// It goes on when what it has sent has left, 16 messages at a time: without that it would only fill its memory.

const readline = require('readline')
const { link, transport } = require('./peers')

const AT_ONCE = 16

const peer = new transport.PeerPub(link, {})
peer.init()

const service = peer.transport('server')
service.listen(0)
service.socket.on('listening', () =>
  console.log(JSON.stringify({ listening: `127.0.0.1:${service.socket.address().port}` })))

const waiting = () => [...service._sockets.values()].some((socket) => socket.bufferedAmount > 0)

const publish = (millis, bytes, done) => {
  const message = 'x'.repeat(bytes)
  const end = Date.now() + millis
  let published = 0
  const next = () => {
    if (waiting()) return setImmediate(next)
    if (Date.now() >= end) return done({ published })
    for (let i = 0; i < AT_ONCE; i++) service.pub(message)
    published += AT_ONCE
    setImmediate(next)
  }
  next()
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [, millis, bytes] = line.split(' ')
  publish(Number(millis), Number(bytes), (said) => console.log(JSON.stringify(said)))
})
