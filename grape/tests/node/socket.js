'use strict'

// A WebSocket of the package `ws`, without Grenache's. Argument: {"port","protocol","deflate": its perMessageDeflate,"secure"}.
// It says "open" with what was agreed, "message", "closed" with code and reason, and "error".
// Commands: {"send": a text}; {"settle": true}, answered when the server has read all before.

const Ws = require('ws')
const { conf, say, serve } = require('./peers')
const secure = require('./secure')

const url = `${conf.secure ? 'wss' : 'ws'}://127.0.0.1:${conf.port}/any`
const socket = new Ws(url, conf.protocol || [], { perMessageDeflate: conf.deflate || false, ...secure(conf.secure) })

socket.on('open', () => say('open', { protocol: socket.protocol, extensions: socket.extensions }))
socket.on('message', data => say('message', typeof data === 'string' ? { text: data } : { bytes: [...data] }))
socket.on('close', (code, reason) => say('closed', { code, reason: String(reason) }))
socket.on('error', err => say('error', { message: err.message }))

serve(({ send, settle }, done) => {
  if (settle) {
    socket.once('pong', () => done())
    return socket.ping()
  }
  socket.send(send, done)
})
