'use strict'

// Starts a grape without arguments, announces and looks up on the ports that it then has, and stops it.
// Meant for a network of its own, because those ports are fixed. Argument: {"grape": path}. Prints one JSON line.

const { spawn } = require('child_process')
const { conf, say } = require('./peers')

const grape = spawn(conf.grape, [], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DEBUG: 'grenache:grape' } })
let stderr = ''
const ready = new Promise(resolve => grape.stderr.on('data', data => {
  stderr += data
  if (/ ready$/m.test(stderr)) resolve()
}))
const ended = new Promise(resolve => grape.on('exit', (code, signal) => resolve({ code, signal })))
process.on('exit', () => grape.kill('SIGKILL'))

const post = async (call, data) => {
  const response = await fetch(`http://127.0.0.1:30001/${call}`, { method: 'POST', body: JSON.stringify({ rid: 'r', data }) })
  return response.json()
}

const main = async () => {
  await Promise.race([ready, ended])
  const announced = await post('announce', ['alone', 1337])
  const found = await post('lookup', 'alone')
  const own = await post('announce', ['dht', 0]).then(() => post('lookup', 'dht'))
  grape.kill('SIGTERM')
  say('done', { announced, found, own, ...await ended })
}

main().then(() => process.exit(), err => {
  say('failed', { message: String(err.cause || err), stderr })
  process.exit(1)
})
