'use strict'

// A client over http or ws that does what a test says, one command at a time. Argument: {"grape","transport","secure"}.
// Results are given as JSON texts, so that the test sees what JSON.stringify makes of them and nothing else.
//
// {"call":"request"|"map","service","payload": a JSON text,"opts"}
// {"call":"many","requests":[{"service","payload"}]} asks all at once; gives the payloads' numbers in the order of their answers
// {"call":"stream","service","opts","send":{"seed","length","piece"}} gives {"length","sha256"} of what came, and "text" if it is short
// {"call":"turns","service","opts","turns"} sends a piece only after the one before has come back
// {"call":"certificate"} gives what the last TLS server has shown

const crypto = require('crypto')
const tls = require('tls')
const { conf, transport, link, serve, text } = require('./peers')
const pattern = require('./pattern')
const secure = require('./secure')

let shown = null
const checkServerIdentity = (host, cert) => {
  shown = { host, sha1: cert.fingerprint, sha256: cert.fingerprint256, subject: cert.subject.CN }
  if (conf.allow && !conf.allow.includes(cert.fingerprint)) return new Error('ERR_FINGERPRINT')
  return tls.checkServerIdentity(host, cert)
}

const peer = new (transport(conf.transport || 'http').PeerRPCClient)(link(conf.grape), {
  ...(conf.secure && { secure: { checkServerIdentity, ...secure(conf.secure) } })
})
peer.init()

const once = done => {
  let called = false
  return (...result) => {
    if (called) return
    called = true
    done(...result)
  }
}

const calls = {
  request: ({ service, payload, opts }, done) =>
    peer.request(service, JSON.parse(payload), { timeout: 10000, ...opts }, (err, res) => done(err, { text: JSON.stringify(res) })),
  map: ({ service, payload, opts }, done) =>
    peer.map(service, JSON.parse(payload), { timeout: 10000, ...opts }, (err, res) => done(err, { text: JSON.stringify(res) })),
  many: ({ requests }, done) => {
    const order = []
    requests.forEach(({ service, payload }, number) =>
      peer.request(service, JSON.parse(payload), { timeout: 10000 }, (err, res) => {
        order.push([number, text(err), JSON.stringify(res)])
        if (order.length === requests.length) done(null, order)
      }))
  },
  stream: ({ service, opts, send }, finish) => {
    const done = once(finish)
    const stream = peer.stream(service, { timeout: 10000, ...opts })
    const hash = crypto.createHash('sha256')
    let length = 0
    let start = ''
    stream.on('data', chunk => {
      hash.update(chunk)
      if (length < 1000) start += chunk
      length += chunk.length
    })
    stream.on('end', () => done(null, { length, sha256: hash.digest('hex'), text: length < 1000 ? start : null }))
    stream.on('error', done)
    stream.on('close', () => done(new Error('closed before the end')))
    pattern.source(send).pipe(stream)
  },
  turns: ({ service, opts, turns }, finish) => {
    const done = once(finish)
    const stream = peer.stream(service, { timeout: 10000, ...opts })
    let turn = 0
    let expected = ''
    let came = ''
    const next = () => {
      if (turn === turns) return stream.end()
      expected = `turn ${++turn}`
      came = ''
      stream.write(expected)
    }
    stream.on('data', chunk => {
      came += chunk
      if (came === expected) next()
    })
    stream.on('end', () => done(null, { turns: turn }))
    stream.on('error', done)
    next()
  },
  certificate: (_, done) => done(null, shown)
}

serve((command, done) => calls[command.call](command, done))
