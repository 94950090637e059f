'use strict'

// What worker and client share: the argument, a JSON object {"modules","grape","service","transport","tls"?}, and the packages
// in its folder "modules". "transport" is "http" or "ws"; "tls" is a folder with ca.pem, and cert.pem and key.pem of this side.

const fs = require('fs')
const path = require('path')

const conf = JSON.parse(process.argv[2])
const from = (name) => require(path.resolve(conf.modules, name))
const pem = (name) => fs.readFileSync(path.join(conf.tls, `${name}.pem`))

const link = new (from('grenache-nodejs-link'))({ grape: `http://${conf.grape}` })
link.start()

// Both sides show a certificate and insist on one, as in the packages' examples but for their rejectUnauthorized: false.
const secure = conf.tls && {
  key: pem('key'),
  cert: pem('cert'),
  ca: pem('ca'),
  requestCert: true,
  rejectUnauthorized: true
}

// It ends with the process that started it.
process.stdin.on('end', () => process.exit()).resume()

const transport = from(`grenache-nodejs-${conf.transport}`)

module.exports = { conf, link, transport, settings: secure ? { secure } : {} }
