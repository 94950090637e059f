'use strict'

// A worker as people write it: serves one service over http or ws and announces it on a grape.
// Argument: {"transport","grape","service","port","name"}. The payload "fail" is answered by an error, any other is echoed.

const { conf, say, transport, link, text } = require('./peers')

const peer = new (transport(conf.transport).PeerRPCServer)(link(conf.grape), { timeout: 60000 })
peer.init()

const service = peer.transport('server')
service.listen(conf.port)
service.on('request', (rid, key, payload, handler) => {
  say('request', { key })
  if (payload === 'fail') return handler.reply(new Error('ERR_FROM_WORKER'))
  handler.reply(null, { worker: conf.name, key, echo: payload })
})

peer.link.announce(conf.service, conf.port, {}, (err, stored) => say('announced', { err: text(err), stored }))
