'use strict'

// A worker over http or ws with a service for everything that tests ask of one. A service's name is `<prefix>:<name>`.
// Argument: {"grape","transport","prefix","services":[names],"name","secure","allow":[SHA-1],"keep":ms,"verbose"}; `allow` are the
// only clients' certificates, `keep` announces again and again, `verbose` tells of every request. Command: {"call":"stop"}.
// Over ws, clients that are not allowed are refused before the upgrade.

const { pipeline } = require('stream')
const { conf, say, transport, link, serve, text } = require('./peers')
const pattern = require('./pattern')
const secure = require('./secure')

const over = conf.transport || 'http'
const allowed = cert => !conf.allow || !conf.allow.length || conf.allow.includes(cert.fingerprint)
const verifyClient = ({ req }) => allowed(req.socket.getPeerCertificate())

const peer = new (transport(over).PeerRPCServer)(link(conf.grape), {
  timeout: 60000,
  ...(over === 'http' && { disableBuffered: true }),
  ...(conf.secure && { secure: { ...secure(conf.secure), ...(over === 'ws' && { verifyClient }) } })
})
peer.init()

let calls = 0

const requests = {
  echo: (payload, reply) => reply(null, payload),
  name: (payload, reply) => reply(null, conf.name),
  fail: (payload, reply) => reply(new Error(payload)),
  // Fails if it is the one.
  pick: (payload, reply) => payload === conf.name ? reply(new Error(`ERR_PICKED ${conf.name}`)) : reply(null, conf.name),
  // The same error slot as JSON, whatever it is: an `err` without `message`, or with one that is no text.
  odd: (payload, reply) => reply(payload.err, payload.res),
  slow: (payload, reply) => setTimeout(reply, payload, null, conf.name),
  never: () => {},
  // Fails until it has been called as often as the payload says.
  flaky: (payload, reply) => ++calls < payload ? reply(new Error(`ERR_FLAKY ${calls}`)) : reply(null, calls),
  compressed: (payload, reply, { compress }) => reply(null, compress),
  // `{}` for a TLS client without a certificate, `null` without TLS.
  certificate: (payload, reply, { cert }) => reply(null, cert ? { sha1: cert.fingerprint, sha256: cert.fingerprint256 } : null)
}

// By the action of the request.
const streams = {
  echo: (req, rep) => pipeline(req, rep, err => { if (err) say('broken', { err: err.message }) }),
  // The digest of what came, by the usual array.
  upload: (req, rep, meta, reply) => {
    const sink = pattern.sink()
    req.pipe(sink).on('finish', () => reply(null, { ...sink.digest(), args: meta.args, header: req.headers['x-test'] || null }))
  },
  download: (req, rep, meta) => { req.resume(); pipeline(pattern.source(meta.args), rep, () => {}) },
  // Both bodies at once; what came is said when it has come. The answer ends last: Node's client gives up its own body when
  // the answer has ended.
  both: (req, rep, meta) => {
    const sink = pattern.sink()
    let left = 2
    const finished = () => { if (--left === 0) rep.end() }
    req.pipe(sink).on('finish', () => {
      say('uploaded', sink.digest())
      finished()
    })
    pattern.source(meta.args).on('end', finished).pipe(rep, { end: false })
  },
  // Answers before it reads, as the README of grenache-nodejs-http does.
  early: (req, rep, meta, reply) => { req.resume(); reply(null, 'world') },
  fail: (req, rep, meta, reply) => { req.resume().on('end', () => reply(new Error('ERR_STREAM_REFUSED'))) },
  // Some bytes, then the connection breaks.
  cut: (req, rep) => { req.resume(); rep.write('some', () => req.socket.destroy()) }
}

const short = key => key.slice(conf.prefix.length + 1)

const service = peer.transport('server')
service.on('request', (rid, key, payload, handler, cert, meta) => {
  if (conf.verbose) say('request', { key, rid })
  if (!allowed(cert)) return handler.reply(new Error('ERR_FINGERPRINT'))
  const run = typeof key === 'string' && requests[short(key)]
  if (!run) return handler.reply(new Error('ERR_SERVICE_NOTFOUND'))
  run(payload, handler.reply, meta || { cert })
})
service.on('request-error', () => say('request-error'))
service.on('stream', (req, rep, meta, handler) => {
  if (!meta.isStream) return service.handleBufferedRequest(req, rep, meta)
  const [rid] = meta.infoHeaders
  const reply = (err, res) => handler.reply(rid, err, res)
  const run = streams[meta.action]
  run ? run(req, rep, meta, reply) : reply(new Error(`ERR_ACTION ${meta.action}`))
})
service.listen(0)

let port = 0
service.socket.on('tlsClientError', err => say('tls-error', { code: err.code || null, message: err.message }))
service.socket.on('listening', () => {
  port = service.socket.address().port
  const announce = (name, done) => conf.keep
    ? peer.link.startAnnouncing(`${conf.prefix}:${name}`, port, { interval: conf.keep }, done)
    : peer.link.announce(`${conf.prefix}:${name}`, port, {}, done)
  let left = conf.services.length
  const started = err => {
    if (err || --left === 0) say('announced', { err: text(err), port })
  }
  if (left === 0) return say('announced', { err: null, port })
  conf.services.forEach(name => announce(name, started))
})

serve(({ call }, done) => {
  if (call !== 'stop') return done(new Error(`unknown call ${call}`))
  conf.services.forEach(name => peer.link.stopAnnouncing(`${conf.prefix}:${name}`, port))
  service.stop()
  done()
})
