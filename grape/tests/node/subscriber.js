'use strict'

// A subscriber over ws. Argument: {"grape","service"}. Command: {"sub": true} subscribes again, as its owner has to after
// "disconnected".

const { conf, say, transport, link, serve } = require('./peers')

const peer = new (transport('ws').PeerSub)(link(conf.grape), {})
peer.init()
peer.on('error', err => say('error', { message: err.message }))
peer.on('connected', () => say('connected'))
peer.on('disconnected', () => say('disconnected'))
peer.on('message', message => say('message', { message: String(message) }))
peer.sub(conf.service, {})

serve((_, done) => {
  peer.sub(conf.service, {})
  done()
})
