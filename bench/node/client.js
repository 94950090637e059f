'use strict'

// A client as people write it. A line on standard input is an order, a line on standard output what came of it:
// "run <in flight> <ms>" keeps so many requests in flight for so long; "find <service>" asks until somebody is there.

const { conf, link, transport, settings } = require('./peers')
const lines = require('readline').createInterface({ input: process.stdin })

const peer = new transport.PeerRPCClient(link, settings)
peer.init()

const OPTIONS = { timeout: 10000 }
const HELLO = 'hello'
const say = (what) => console.log(JSON.stringify(what))

// As nanoseconds since the start of the process: a number, which costs less than a BigInt.
const now = () => performance.now() * 1e6

function run (flying, ms) {
  const times = []
  const start = now()
  const end = start + ms * 1e6
  let left = flying
  const ask = () => {
    const asked = now()
    peer.request(conf.service, HELLO, OPTIONS, (err, reply) => {
      if (err || reply !== HELLO) throw err || new Error(`it replied ${JSON.stringify(reply)}`)
      const answered = now()
      times.push(answered - asked)
      if (answered < end) return ask()
      left -= 1
      if (left > 0) return
      const sorted = Float64Array.from(times).sort()
      const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))])
      say({ requests: times.length, elapsed: Math.round(answered - start), p50: at(0.5), p99: at(0.99) })
    })
  }
  for (let i = 0; i < flying; i++) ask()
}

function find (service) {
  const start = now()
  const ask = () => peer.request(service, HELLO, OPTIONS, (err, reply) => {
    if (!err) return say({ found: Math.round(now() - start) })
    if (err.message !== 'ERR_GRAPE_LOOKUP_EMPTY') throw err
    setTimeout(ask, 5)
  })
  ask()
}

lines.on('line', (line) => {
  const [order, ...rest] = line.split(' ')
  if (order === 'run') return run(Number(rest[0]), Number(rest[1]))
  find(rest[0])
})
say({ ready: true })
