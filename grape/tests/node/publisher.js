'use strict'

// A publisher over ws. Argument: {"grape","service","port"}. Commands: {"message"}, answered by the number of subscribers.

const { conf, say, transport, link, serve, text } = require('./peers')

const peer = new (transport('ws').PeerPub)(link(conf.grape), {})
peer.init()

const service = peer.transport('server')
service.listen(conf.port)
service.socket.on('connection', () => say('subscriber'))

serve(({ message }, done) => {
  service.pub(message)
  done(null, service._sockets.size)
})
peer.link.announce(conf.service, conf.port, {}, (err, stored) => say('announced', { err: text(err), stored }))
