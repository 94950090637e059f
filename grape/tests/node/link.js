'use strict'

// The link package alone, with one link per grape. Argument: {"grapes":[port,..]}.
// Commands: {"grape":index,"call":"announce"|"lookup"|"put"|"get","args":[..]}.

const { conf, link, serve } = require('./peers')

const links = conf.grapes.map(link)

serve(({ grape, call, args }, done) => links[grape][call](...args, done))
