'use strict'

// A client as people write it. Argument: {"transport","grape"}.
// Commands: {"call":"request"|"map","service","payload","opts"}.

const { conf, transport, link, serve } = require('./peers')

const peer = new (transport(conf.transport).PeerRPCClient)(link(conf.grape), {})
peer.init()

serve(({ call, service, payload, opts }, done) => peer[call](service, payload, { timeout: 10000, ...opts }, done))
