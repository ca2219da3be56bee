// A real OpenID provider: npm oidc-provider, with client_credentials and JWT access tokens of three algorithms.
//
// A line on standard input is a command, a line of JSON on standard output its answer:
//   rotate   new signing keys, published in front of the old ones
//   counts   how often the metadata and the key set were fetched
// It ends when standard input does.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Standard output is for answers; the provider says its notices there.
console.info = console.error;
console.log = console.error;

// The package is in the target folder, not beside this file.
const require = createRequire(`${process.env.GATEHOUSE_INTEROP}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const ALGORITHMS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

const newKeys = () =>
  Object.entries(ALGORITHMS).map(([alg, generate]) => ({
    ...generate().privateKey.export({ format: 'jwk' }),
    kid: randomUUID(),
    use: 'sig',
    alg,
  }));

const counts = { metadata: 0, keys: 0 };
let handler;
const server = createServer((request, response) => {
  if (request.url === '/.well-known/openid-configuration') counts.metadata += 1;
  if (request.url === '/jwks') counts.keys += 1;
  handler(request, response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const start = (keys) => {
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['the cookies of a test'] },
    clients: [
      {
        client_id: 'shop',
        client_secret: 'a-secret-of-a-test',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'orders:read',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: resource.split('/').pop() } },
        }),
      },
    },
  });
  handler = provider.callback();
};

let keys = newKeys();
start(keys);
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ issuer, port: server.address().port });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'rotate') {
    keys = [...newKeys(), ...keys.slice(0, 3)];
    start(keys);
  }
  say(counts);
}
process.exit(0);
