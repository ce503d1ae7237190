// An OpenID Connect provider on loopback: `node server.mjs PORT`. It signs with ES256, gives
// service clients JWT access tokens for the API (RFC 8707, RFC 9068), and lets one person sign in
// without asking, so that there are id tokens, too.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const resource = "urn:caas:api";
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "test-1" };

const service = (client_id, scope) => ({
  client_id,
  client_secret: "a-secret-of-the-tests",
  grant_types: ["client_credentials"],
  response_types: [],
  redirect_uris: [],
  id_token_signed_response_alg: "ES256",
  scope,
});

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ["a-cookie-key-of-the-tests"] },
  scopes: ["openid", "applications:read", "reviews:read"],
  clients: [
    service("reporting", "applications:read reviews:read"),
    {
      client_id: "portal",
      client_secret: "a-secret-of-the-tests",
      grant_types: ["authorization_code"],
      response_types: ["code"],
      redirect_uris: ["https://portal.example/callback"],
      id_token_signed_response_alg: "ES256",
    },
  ],
  enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: async () => true,
      getResourceServerInfo: async () => ({
        scope: "applications:read reviews:read",
        audience: "caas-api",
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  pkce: { required: () => false },
  extraTokenClaims: async () => ({
    "https://caas.example/tenant": "acme",
    realm_access: { roles: ["offline_access", "credit-auditors"] },
  }),
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
  loadExistingGrant: async (ctx) => {
    const { client, session } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid");
    grant.addResourceScope(resource, "applications:read reviews:read");
    await grant.save();
    return grant;
  },
});

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/sign-in/")) return next();
  const result = { login: { accountId: "zelda" } };
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
});

provider.listen(port, "127.0.0.1", () => console.log("ready"));
