'use strict'

// Loaded first (`node -r`) into every Node process of the tests: it ends with the test that started it, also when that
// test is killed, because the pipe on its standard input closes then.

process.stdin.on('end', () => process.exit()).resume()
process.stdin.unref()
