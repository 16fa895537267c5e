// One session of MQTT.js: node mqttjs_session.js URL PROTOCOL_VERSION; prints what it saw as JSON.
// The package `mqtt` is found through NODE_PATH.
const mqtt = require('mqtt')

const [url, version] = [process.argv[2], Number(process.argv[3])]
const topic = `js/${process.pid}/${Math.random().toString(16).slice(2)}`
const COUNT = 500

function open (options = {}) {
  return mqtt.connectAsync(url, { protocolVersion: version, reconnectPeriod: 0, ...options })
}

function take (client, count) {
  return new Promise((resolve) => {
    const found = []
    const listener = (name, payload, packet) => {
      found.push({ topic: name, payload: payload.toString(), qos: packet.qos, retain: packet.retain, properties: packet.properties })
      if (found.length === count) {
        client.removeListener('message', listener)
        resolve(found)
      }
    }
    client.on('message', listener)
  })
}

async function inOrder (seen) {
  const [reader, writer] = [await open(), await open()]
  for (const qos of [0, 1, 2]) {
    await reader.subscribeAsync(`${topic}/${qos}`, { qos })
    const messages = take(reader, COUNT)
    const sent = []
    for (let number = 0; number < COUNT; number++) sent.push(writer.publishAsync(`${topic}/${qos}`, `${number}`, { qos }))
    await Promise.all(sent)
    seen[`qos${qos}`] = (await messages).map((message) => Number(message.payload))
  }
  await Promise.all([reader.endAsync(), writer.endAsync()])
}

async function kept (seen) {
  const options = { clientId: `${topic}-kept`.replaceAll('/', '-'), clean: false, properties: version === 5 ? { sessionExpiryInterval: 600 } : undefined }
  const first = await open(options)
  await first.subscribeAsync(`${topic}/kept`, { qos: 1 })
  await first.endAsync()
  const writer = await open()
  await writer.publishAsync(`${topic}/kept`, 'meanwhile', { qos: 1 })
  await writer.endAsync()
  const again = mqtt.connect(url, { protocolVersion: version, reconnectPeriod: 0, ...options })
  const messages = take(again, 1)
  seen.sessionPresent = (await new Promise((resolve) => again.once('connect', resolve))).sessionPresent
  seen.kept = (await messages)[0].payload
  await again.endAsync()
}

async function retainedAndWill (seen) {
  const reader = await open()
  await reader.publishAsync(`${topic}/state`, 'on', { retain: true, qos: 1 })
  const messages = take(reader, 2)
  await reader.subscribeAsync(`${topic}/#`, { qos: 1 })
  const doomed = await open({ will: { topic: `${topic}/will`, payload: Buffer.from('lost'), qos: 1 } })
  doomed.stream.destroy()
  seen.retainedAndWill = (await messages).map(({ payload, retain }) => [payload, retain])
  await reader.publishAsync(`${topic}/state`, '', { retain: true })
  await reader.endAsync()
}

async function withProperties (seen) {
  const client = await open()
  await client.subscribeAsync(`${topic}/request`)
  const messages = take(client, 1)
  const properties = { responseTopic: 'answers/js', correlationData: Buffer.from([0, 255]), userProperties: { unit: 'kWh' } }
  await client.publishAsync(`${topic}/request`, '?', { qos: 0, properties })
  const received = (await messages)[0].properties
  seen.properties = [received.responseTopic, [...received.correlationData], received.userProperties.unit]
  await client.endAsync()
}

async function main () {
  const seen = {}
  await inOrder(seen)
  await kept(seen)
  await retainedAndWill(seen)
  if (version === 5) await withProperties(seen)
  console.log(JSON.stringify(seen))
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
