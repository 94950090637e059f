'use strict'

// A subscriber over ws. Argument: {"grape","service"}.

const { conf, say, transport, link } = require('./peers')

const peer = new (transport('ws').PeerSub)(link(conf.grape), {})
peer.init()
peer.on('error', err => say('error', { message: err.message }))
peer.on('connected', () => say('connected'))
peer.on('message', message => say('message', { message: String(message) }))
peer.sub(conf.service, {})
