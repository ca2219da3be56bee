// A client of connect-node's, through the gateway: gRPC over HTTP/2, gRPC-Web and Connect over HTTP/1.1 and HTTP/2.
//
// KINDS names some of grpc, web and connect. Its argument is {"url", "ca", "key"}; it prints a line of JSON for each case, {"case", "result"}, and ends.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages are in the target folder, not beside this file.
const require = createRequire(`${process.env.GATEHOUSE_INTEROP}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { create, createFileRegistry } = await load('@bufbuild/protobuf');
const { FileDescriptorProtoSchema, file_google_protobuf_wrappers } = await load('@bufbuild/protobuf/wkt');
const { Code, ConnectError, createClient } = await load('@connectrpc/connect');
const { createConnectTransport, createGrpcTransport, createGrpcWebTransport, compressionGzip } = await load('@connectrpc/connect-node');

const place = JSON.parse(process.argv[2]);
const ca = readFileSync(place.ca);

const message = '.google.protobuf.BytesValue';
const method = (name, clientStreaming, serverStreaming) => ({
  name,
  inputType: message,
  outputType: message,
  clientStreaming,
  serverStreaming,
});
const file = create(FileDescriptorProtoSchema, {
  name: 'interop/v1/echo.proto',
  package: 'interop.v1',
  syntax: 'proto3',
  dependency: ['google/protobuf/wrappers.proto'],
  service: [
    {
      name: 'Echo',
      method: [
        ...['Unary', 'Told', 'Fail', 'Hang', 'Wait', 'Forbidden', 'Undeclared'].map((name) => method(name, false, false)),
        method('ServerStream', false, true),
        method('ClientStream', true, false),
        method('Bidi', true, true),
      ],
    },
  ],
});
const wrappers = (name) => (name === 'google/protobuf/wrappers.proto' ? file_google_protobuf_wrappers : undefined);
const service = createFileRegistry(file, wrappers).getService('interop.v1.Echo');

const say = (name, result) => console.log(JSON.stringify({ case: name, result }));
const same = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)) === 0;
const text = (value) => Buffer.from(value).toString();
const code = async (work) => {
  try {
    await work();
    return 'OK';
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
};

const KEY = { 'x-api-key': place.key };
const FORGED = {
  'x-envoy-original-path': '/public/1',
  'x-envoy-original-method': 'GET',
  'x-gatehouse-grpc-service': 'admin.v1.Users',
  'x-gatehouse-grpc-method': 'Drop',
  'x-gatehouse-api-version': '2',
  'x-gatehouse-protocol': 'rest',
  'x-gatehouse-target': 'users',
  'x-user': 'root',
};
const small = new Uint8Array(Buffer.from('hello'.repeat(100)));
const large = new Uint8Array(4 * 1024 * 1024).map((_, index) => index % 256);

async function* each(values) {
  for (const value of values) yield { value };
}

// Both sides at once take HTTP/2.
async function run(name, transport, bothSides, asks) {
  const client = createClient(service, transport);
  const options = { headers: { ...KEY, ...asks }, timeoutMs: 25000 };
  const told = async (headers, more) => JSON.parse(text((await client.told({ value: small }, { ...options, ...more, headers })).value));

  const one = await client.unary({ value: small }, options);
  say(`${name}: unary`, { same: same(one.value, small) });
  const big = await client.unary({ value: large }, options);
  say(`${name}: 4 MiB`, { same: same(big.value, large), bytes: big.value.length });
  const answers = [];
  for await (const answer of client.serverStream({ value: small }, options)) answers.push(same(answer.value, small));
  say(`${name}: server stream`, { answers: answers.length, same: answers.every(Boolean) });
  const sum = await client.clientStream(each(Array(7).fill(small)), options);
  say(`${name}: client stream`, { says: text(sum.value) });
  if (bothSides) {
    let next;
    const wait = () => new Promise((resolve) => (next = resolve));
    let turn = Promise.resolve();
    const questions = async function* () {
      for (let number = 0; number < 4; number += 1) {
        await turn;
        turn = wait();
        yield { value: new Uint8Array(Buffer.from(`question ${number}`)) };
      }
    };
    const said = [];
    for await (const answer of client.bidi(questions(), options)) {
      said.push(text(answer.value));
      next();
    }
    say(`${name}: both stream`, { answers: said });
  }
  say(`${name}: trailers only`, { code: await code(() => client.fail({ value: small }, options)) });
  say(`${name}: no credential`, { code: await code(() => client.unary({ value: small }, { timeoutMs: 25000 })) });
  say(`${name}: no scope`, { code: await code(() => client.forbidden({ value: small }, options)) });
  say(`${name}: undeclared`, { code: await code(() => client.undeclared({ value: small }, options)) });
  say(`${name}: their own deadline`, { code: await code(() => client.wait({ value: small }, { headers: KEY, timeoutMs: 400 })) });
  say(`${name}: the gateway's deadline`, { code: await code(() => client.hang({ value: small }, { headers: KEY })) });
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 200);
  say(`${name}: cancelled`, { code: await code(() => client.wait({ value: small }, { ...options, signal: stop.signal })) });
  say(`${name}: told`, await told({ ...KEY, ...FORGED }, { timeoutMs: 20000 }));
}

const compressed = { sendCompression: compressionGzip, acceptCompression: [compressionGzip], compressMinBytes: 1 };
for (const [kind, make, versions] of [
  ['grpc', createGrpcTransport, ['2']],
  ['web', createGrpcWebTransport, ['1.1', '2']],
  ['connect', createConnectTransport, ['1.1', '2']],
]) {
  if (!process.env.KINDS.split(' ').includes(kind)) continue;
  for (const httpVersion of versions) {
    for (const [how, more] of [['', {}], [', compressed', compressed]]) {
      // Envoy's bridge takes no compressed message of Connect's.
      if (kind === 'connect' && how) continue;
      const options = { baseUrl: place.url, httpVersion, nodeOptions: { ca }, ...(how ? more : { acceptCompression: [] }) };
      await run(`${kind} ${httpVersion}${how}`, make(options), httpVersion === '2', how ? { 'x-compress': 'gzip' } : {});
    }
  }
}
process.exit(0);
