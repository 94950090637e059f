'use strict'

// What the peers share: the transport's package, a started link, and the two ways to speak to the test.
// A peer prints one JSON line per event, and may be told what to do by one JSON line on standard input at a time.

const readline = require('readline')
const Link = require('grenache-nodejs-link')

const packages = {
  http: () => require('grenache-nodejs-http'),
  ws: () => require('grenache-nodejs-ws')
}

const say = (event, more) => console.log(JSON.stringify({ event, ...more }))

module.exports = {
  conf: JSON.parse(process.argv[2] || '{}'),
  say,
  transport: name => packages[name](),
  link: port => new Link({ grape: `http://127.0.0.1:${port}`, requestTimeout: 8000 }).start(),
  // A plain error of a callback, as text or null.
  text: err => err ? String(err.message) : null,
  // Every command gets exactly one answer: `{"event":"answer","err":..,"result":..}`.
  serve: run => {
    const lines = readline.createInterface({ input: process.stdin })
    lines.on('line', line => run(JSON.parse(line), (err, result) => {
      say('answer', { err: module.exports.text(err), result: result === undefined ? null : result })
    }))
    lines.on('close', () => process.exit())
    say('ready')
  }
}
