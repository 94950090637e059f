'use strict'

// A peer with libzmq's sockets, steered like peer.py, which says how.

const crypto = require('crypto')
const readline = require('readline')
const zmq = require('zeromq')
const rpc = require('./rpc')

// Parts longer than this are reported by their size and hash.
const LARGE = 1024

const TYPES = {
  REQ: zmq.Request,
  REP: zmq.Reply,
  DEALER: zmq.Dealer,
  ROUTER: zmq.Router,
  PUB: zmq.Publisher,
  SUB: zmq.Subscriber,
  XPUB: zmq.XPublisher,
  XSUB: zmq.XSubscriber
}

// libzmq's names of options, and their numbers.
const OPTIONS = {
  IDENTITY: 5,
  LINGER: 17,
  RECONNECT_IVL: 18,
  RECONNECT_IVL_MAX: 21,
  SNDHWM: 23,
  RCVHWM: 24,
  ROUTER_MANDATORY: 33,
  IMMEDIATE: 39,
  XPUB_VERBOSE: 40,
  PROBE_ROUTER: 51,
  REQ_CORRELATE: 52,
  REQ_RELAXED: 53,
  CONFLATE: 54,
  ROUTER_HANDOVER: 56,
  HANDSHAKE_IVL: 66,
  HEARTBEAT_IVL: 75,
  HEARTBEAT_TTL: 76,
  HEARTBEAT_TIMEOUT: 77,
  XPUB_VERBOSER: 78,
  METADATA: 95
}

// libzmq's names of events.
const EVENTS = {
  accept: 'accepted',
  bind: 'listening',
  close: 'closed',
  connect: 'connected',
  'connect:delay': 'connect_delayed',
  'connect:retry': 'connect_retried',
  disconnect: 'disconnected',
  handshake: 'handshake_succeeded',
  'handshake:error:auth': 'handshake_failed_auth',
  'handshake:error:other': 'handshake_failed_no_detail',
  'handshake:error:protocol': 'handshake_failed_protocol'
}

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

// Bytes, or what to make them of: 251 hashes, over and over, so that no power of two is a period.
const readPart = ({ base64, size, seed }) => {
  if (base64 !== undefined) return Buffer.from(base64, 'base64')
  const hashes = Array.from({ length: Math.min(251, Math.ceil(size / 32)) }, (_, n) =>
    crypto.createHash('sha256').update(`${seed}/${n}`).digest())
  return Buffer.alloc(size, Buffer.concat(hashes))
}

const showPart = (part) => part.length > LARGE
  ? { size: part.length, sha256: crypto.createHash('sha256').update(part).digest('hex') }
  : { base64: part.toString('base64') }

// One socket. What is sent waits for its turn, and so does who receives: zeromq takes one of each at a time.
class Socket {
  constructor (number, { type, options, security }) {
    this.zmq = new TYPES[type]()
    this.sending = this.receiving = Promise.resolve()
    this.waiting = 0
    for (const [name, value] of Object.entries(options)) this.set(name, value)
    this.secure(`socket-${number}`, security)
    this.watch(number).catch((error) => say({ socket: number, event: 'monitor_failed', why: String(error) }))
  }

  set (name, value) {
    if (!(name in OPTIONS)) throw new Error(`there is no option ${name} in peer.js`)
    typeof value === 'string' ? this.zmq.setStringOption(OPTIONS[name], value) : this.zmq.setInt32Option(OPTIONS[name], value)
  }

  secure (domain, { plain_server: plainServer, plain_client: plainClient, curve_server: curveServer, curve_client: curveClient }) {
    if (plainServer) {
      gates.set(domain, (user, password) => plainServer.users[user] === String(password))
      Object.assign(this.zmq, { zapDomain: domain, plainServer: true })
    }
    if (plainClient) Object.assign(this.zmq, { plainUsername: plainClient.user, plainPassword: plainClient.password })
    if (curveServer) {
      const allowed = new Set(curveServer.allowed)
      gates.set(domain, (key) => allowed.has(key.toString('base64')))
      Object.assign(this.zmq, { zapDomain: domain, curveServer: true, curveSecretKey: curveServer.secret })
    }
    if (curveClient) {
      const { server, public: publicKey, secret } = curveClient
      Object.assign(this.zmq, { curveServerKey: server, curvePublicKey: publicKey, curveSecretKey: secret })
    }
  }

  async watch (number) {
    for await (const { type, error } of this.zmq.events) {
      if (type === 'end') return
      const why = error ? String(error.status || error.code || error).replace(/^ERR_/, '') : ''
      say({ socket: number, event: EVENTS[type] || type, why })
    }
  }

  // A socket sees who has come and gone when somebody looks at it; until then, subscriptions are not sent. One that waits for
  // something does so itself, and would miss it if others did.
  tend () {
    if (this.waiting === 0 && !this.zmq.closed) void this.zmq.readable
  }

  send (parts) {
    this.waiting++
    this.sending = this.sending.catch(() => {}).then(() => this.zmq.send(parts)).finally(() => this.waiting--)
    return this.sending
  }

  // Nothing if time is up.
  receive (within) {
    this.waiting++
    this.receiving = this.receiving.catch(() => {}).then(async () => {
      this.zmq.receiveTimeout = within === undefined ? -1 : within
      try {
        return await this.zmq.receive()
      } catch (error) {
        if (error.code === 'EAGAIN') return null
        throw error
      } finally {
        this.waiting--
      }
    })
    return this.receiving
  }
}

// Who is let in, by a socket's domain: functions of the credentials.
const gates = new Map()

// ZAP (RFC 27): libzmq asks here.
const guard = async () => {
  const zap = new zmq.Router()
  await zap.bind('inproc://zeromq.zap.01')
  for await (const [from, empty, version, id, domain, , , , ...credentials] of zap) {
    const gate = gates.get(String(domain))
    const good = gate !== undefined && gate(...credentials)
    // No user's name: libzmq hands it on as a part, which a REQ takes for a bad reply.
    await zap.send([from, empty, version, id, ...(good ? ['200', 'OK'] : ['400', 'not allowed']), '', ''])
  }
}

const sockets = []
const clients = new Map()

const commands = {
  socket (command) {
    sockets.push(new Socket(sockets.length, command))
    return sockets.length - 1
  },

  async bind ({ socket, port }) {
    await sockets[socket].zmq.bind(`tcp://127.0.0.1:${port || '*'}`)
    return Number(sockets[socket].zmq.lastEndpoint.split(':').pop())
  },

  connect ({ socket, port }) {
    sockets[socket].zmq.connect(`tcp://127.0.0.1:${port}`)
  },

  disconnect ({ socket, port }) {
    sockets[socket].zmq.disconnect(`tcp://127.0.0.1:${port}`)
  },

  send: ({ socket, parts }) => sockets[socket].send(parts.map(readPart)),

  async receive ({ socket, within }) {
    const parts = await sockets[socket].receive(within)
    return parts && parts.map(showPart)
  },

  subscribe: ({ socket, prefix }) => sockets[socket].zmq.subscribe(readPart(prefix)),

  unsubscribe: ({ socket, prefix }) => sockets[socket].zmq.unsubscribe(readPart(prefix)),

  close: ({ socket }) => sockets[socket].zmq.close(),

  serve ({ socket, form }) {
    const report = (key, payload) => say({ socket, event: 'request', why: `${key} ${payload}` })
    rpc.serve(sockets[socket], form, report).catch((error) => say({ socket, event: 'worker_failed', why: String(error) }))
  },

  client ({ socket, form }) {
    clients.set(socket, new rpc.Client(sockets[socket], form))
  },

  ask: ({ socket, key, payload }) => clients.get(socket).ask(key, payload)
}

const answer = async (command) => {
  try {
    const done = await commands[command.do](command)
    say({ id: command.id, done: done === undefined ? null : done })
  } catch (error) {
    say({ id: command.id, error: String(error) })
  }
}

setInterval(() => sockets.forEach((socket) => socket.tend()), 10)
guard().catch((error) => console.error('nobody is let in:', error))
say({ ready: { libzmq: zmq.version, node: process.version } })
readline.createInterface({ input: process.stdin })
  .on('line', (line) => answer(JSON.parse(line)))
  // Whoever started this is gone; what is unsent has nobody to wait for it.
  .on('close', () => process.kill(process.pid, 'SIGKILL'))
