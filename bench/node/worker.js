'use strict'

// A worker as people write it: answers every request with its payload. Says where it listens once it has announced itself.

const { conf, link, transport, settings } = require('./peers')

const peer = new transport.PeerRPCServer(link, { timeout: 300000, ...settings })
peer.init()

const service = peer.transport('server')
service.listen(0)
service.on('request', (rid, key, payload, handler) => handler.reply(null, payload))
service.socket.on('listening', () => {
  const { port } = service.socket.address()
  link.startAnnouncing(conf.service, port, {}, (err) => {
    if (err) throw err
    console.log(`listening 127.0.0.1:${port}`)
  })
})
