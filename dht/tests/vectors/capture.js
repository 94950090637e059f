// Records what npm bittorrent-dht 10.0.0 answers and asks, byte for byte, with the system clock and real sockets.
// Run in a folder with that package installed: node capture.js > bittorrent-dht-10.0.0.txt
const DHT = require('bittorrent-dht'), dgram = require('dgram'), crypto = require('crypto'), bencode = require('bencode')
const hex = b => b.toString('hex')
const prefix = Buffer.from('302a300506032b6570032100', 'hex')
const verify = (sig, msg, k) => { try { return crypto.verify(null, msg, crypto.createPublicKey({ key: Buffer.concat([prefix, k]), format: 'der', type: 'spki' }), sig) } catch (e) { return false } }
const id = Buffer.from('000102030405060708090a0b0c0d0e0f10111213', 'hex')
const seed = Buffer.alloc(32, 9)
const priv = crypto.createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' })
const pub = crypto.createPublicKey(priv).export({ format: 'der', type: 'spki' }).slice(12)
const sign = (o) => crypto.sign(null, bencode.encode(o).slice(1, -1), priv)

async function answers () {
  const dht = new DHT({ nodeId: id, bootstrap: false, verify })
  await new Promise(resolve => dht.listen(0, '127.0.0.1', resolve))
  const port = dht.address().port
  const socks = []
  for (let i = 0; i < 3; i++) {
    const s = dgram.createSocket('udp4'); await new Promise(r => s.bind(0, '127.0.0.1', r)); s.n = i; s.got = []; s.on('message', m => s.got.push(m)); socks.push(s)
  }
  console.log('# Answers. ask <n-th sender> <hex>, then reply <hex> or silence. port <n-th sender> <port>.')
  console.log('id ' + hex(id))
  for (const s of socks) console.log('port ' + s.n + ' ' + s.address().port)
  const raw = async (s, buf) => {
    s.got.length = 0
    s.send(buf, port, '127.0.0.1')
    await new Promise(r => setTimeout(r, 60))
    console.log('ask ' + s.n + ' ' + hex(buf)); console.log(s.got.length ? 'reply ' + hex(s.got[0]) : 'silence')
    return s.got[0] && bencode.decode(s.got[0])
  }
  const sid = s => Buffer.alloc(20, 0x40 + s.n * 0x11)
  const q = (s, method, a, t) => raw(s, bencode.encode({ t: Buffer.from(t || 'aa'), y: 'q', q: method, a: a === null ? undefined : { id: sid(s), ...a } }))
  const [s0, s1, s2] = socks
  const B = Buffer.from
  const name = B('rest:util:net')
  await q(s0, 'ping', {})
  await q(s0, 'ping', {}, 'abcdef')
  await q(s0, 'ping', {}, 'x')
  await q(s0, 'ping', null)
  await raw(s0, B('d1:ade1:q4:ping1:t2:aa1:y1:qe'))
  await raw(s0, B('d1:ad2:id5:shorte1:q4:ping1:t2:aa1:y1:qe'))
  await q(s1, 'find_node', { target: id })
  await q(s1, 'find_node', { target: sid(s2) })
  await q(s1, 'find_node', { target: B('x') })
  await q(s1, 'find_node', {})
  await q(s1, 'frobnicate', { target: id })
  await q(s0, 'get_peers', {})
  await q(s0, 'get_peers', { info_hash: sid(s1) })
  const r = await q(s0, 'get_peers', { info_hash: name })
  const token = r.r.token
  await q(s0, 'announce_peer', { info_hash: name, port: 1337, implied_port: 0, token: B('bad') })
  await q(s0, 'announce_peer', { info_hash: name, port: 1337, implied_port: 0 })
  await q(s0, 'announce_peer', { info_hash: name, implied_port: 0, token })
  await q(s0, 'announce_peer', { info_hash: name, port: 0, token })
  await q(s0, 'announce_peer', { info_hash: name, port: 65536, token })
  await q(s0, 'announce_peer', { info_hash: name, port: -1, token })
  await q(s0, 'announce_peer', { port: 1337, token })
  await q(s0, 'announce_peer', { info_hash: name, port: 1337, implied_port: 0, token })
  await q(s1, 'get_peers', { info_hash: name })
  const long = Buffer.alloc(300, 'n'), utf8 = B('služba:☃')
  for (const key of [B('x'), Buffer.alloc(20, 'k'), Buffer.alloc(21, 'l'), long, utf8]) {
    await q(s2, 'get_peers', { info_hash: key })
    await q(s0, 'announce_peer', { info_hash: key, port: 0, implied_port: 1, token })
    await q(s2, 'get_peers', { info_hash: key })
  }
  // BEP44
  await q(s0, 'get', {})
  const v = B('hello'), target = crypto.createHash('sha1').update(bencode.encode(v)).digest()
  await q(s0, 'get', { target })
  await q(s0, 'put', { token })
  await q(s0, 'put', { v })
  await q(s0, 'put', { v, token: B('bad') })
  await q(s0, 'put', { v: 0, token })
  await q(s0, 'put', { v: Buffer.alloc(1001, 'v'), token })
  await q(s0, 'put', { v: Buffer.alloc(1000, 'v'), token })
  await q(s0, 'put', { v, token })
  await q(s1, 'get', { target })
  for (const w of [42, ['a', 1], { a: 'b', n: 7 }, B('')]) {
    await q(s0, 'put', { v: w, token })
    await q(s1, 'get', { target: crypto.createHash('sha1').update(bencode.encode(w)).digest() })
  }
  const mutable = async (salt, seq, text, extra) => {
    const o = { seq, v: B(text) }; if (salt) o.salt = B(salt)
    const a = { token, k: pub, seq, v: B(text), sig: sign(o), ...extra }; if (salt) a.salt = B(salt)
    await q(s0, 'put', a)
    const k = salt ? Buffer.concat([pub, B(salt)]) : pub
    await q(s1, 'get', { target: crypto.createHash('sha1').update(k).digest() })
  }
  await mutable('', 1, 'one')
  await mutable('', 1, 'again')
  await mutable('', 2, 'two', { cas: 7 })
  await mutable('', 2, 'two', { cas: 1 })
  await mutable('', -5, 'minus')
  await mutable('salt', 3, 'salted')
  await mutable('', 9007199254740991, 'huge')
  dht.destroy(); socks.forEach(s => s.close())
}

async function queries () {
  console.log('# Queries. Node with this id and one bootstrap node; do <command>, then sent <hex> for each query it sends.')
  const fake = dgram.createSocket('udp4'); await new Promise(r => fake.bind(0, '127.0.0.1', r))
  const fid = Buffer.alloc(20, 0x77)
  console.log('fake ' + hex(fid) + ' ' + fake.address().port)
  fake.on('message', (m, from) => {
    console.log('sent ' + hex(m))
    const d = bencode.decode(m)
    fake.send(bencode.encode({ t: d.t, y: 'r', r: { id: fid, token: Buffer.from('token'), nodes: Buffer.alloc(0) } }), from.port, from.address)
  })
  const dht = new DHT({ nodeId: id, bootstrap: ['127.0.0.1:' + fake.address().port], verify })
  console.log('do bootstrap')
  await new Promise(resolve => dht.listen(0, '127.0.0.1', resolve))
  await new Promise(resolve => setTimeout(resolve, 300))
  const run = (name, f) => { console.log('do ' + name); return new Promise(resolve => f(() => setTimeout(resolve, 100))) }
  const name = Buffer.from('rest:util:net')
  await run('lookup rest:util:net', cb => dht.lookup(name, cb))
  await run('announce rest:util:net 1337', cb => dht.announce(name, 1337, cb))
  await run('announce other 0', cb => dht.announce(Buffer.from('other'), 0, cb))
  await run('put hello', cb => dht.put({ v: 'hello' }, cb))
  const o = { salt: Buffer.from('salt'), seq: 4, v: Buffer.from('signed') }
  const sig = sign(o)
  console.log('mutable ' + hex(pub) + ' ' + hex(sig))
  await run('put signed', cb => dht.put({ v: 'signed', k: pub, sig, seq: 4, salt: Buffer.from('salt'), cas: 3 }, cb))
  await run('get', cb => dht.get(Buffer.alloc(20, 5), cb))
  dht.addNode({ host: '127.0.0.1', port: fake.address().port })
  await run('ping', cb => setTimeout(cb, 100))
  dht.destroy(); fake.close()
}
answers().then(queries)
