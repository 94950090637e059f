'use strict'

// Workers and clients of Grenache over ZeroMQ, with the services and forms of rpc.py.

// Answers what comes to a ROUTER.
const serve = async (socket, form, report) => {
  const held = []
  for (;;) {
    const [identity, ...frames] = await socket.receive()
    const [envelope, parts] = cut(frames)
    const [rid, key, payload] = form === 'frames' ? parts.map(String) : JSON.parse(parts[0])
    report(key, payload)
    const service = key.split(':').pop()
    const answer = [identity, ...envelope, ...outcome(form, rid, service, payload)]
    if (service === 'later') {
      held.push(answer)
    } else if (service !== 'never') {
      for (const one of [answer, ...held.splice(0)]) await socket.send(one)
    }
  }
}

// What stands up to and including the first empty part, if that is not the last one, and the rest.
const cut = (parts) => {
  const end = parts.slice(0, -1).findIndex((part) => part.length === 0) + 1
  return [parts.slice(0, end), parts.slice(end)]
}

const outcome = (form, rid, service, payload) => {
  const error = { fail: payload, busy: 'ERR_BUSY' }[service]
  if (form === 'frames') return [rid, error === undefined ? payload : error]
  const array = error === undefined ? [rid, null, payload] : [rid, error, null]
  return [JSON.stringify(service === 'busy' ? [...array, 503] : array)]
}

// Asks through a DEALER or a REQ.
class Client {
  constructor (socket, form) {
    this.socket = socket
    this.form = form
    this.rids = 0
    this.asked = new Map()
    this.receiving = false
  }

  // The answer: [error, result], and 503 if that says that it has not begun. In the frames form all are texts.
  async ask (key, payload) {
    const rid = `rid-${this.rids++}`
    const answer = new Promise((resolve, reject) => this.asked.set(rid, { resolve, reject }))
    await this.socket.send(this.form === 'frames' ? [rid, key, payload] : [JSON.stringify([rid, key, payload])])
    // A REQ may not receive before it has sent.
    if (!this.receiving) this.receive().catch((error) => this.asked.forEach(({ reject }) => reject(error)))
    return answer
  }

  async receive () {
    this.receiving = true
    while (this.asked.size > 0) {
      const [, parts] = cut(await this.socket.receive())
      const [rid, ...answer] = this.form === 'frames' ? readFrames(parts.map(String)) : JSON.parse(parts[0])
      this.asked.get(rid).resolve(answer)
      this.asked.delete(rid)
    }
    this.receiving = false
  }
}

const readFrames = ([rid, result]) => result.startsWith('ERR_') ? [rid, result, null] : [rid, null, result]

module.exports = { serve, Client }
